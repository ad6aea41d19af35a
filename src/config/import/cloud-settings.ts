import type { Imported } from './imported.ts';

/** Sections of an INI file, by name. */
export type IniSections = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

/**
 * `~/.aws/config`: the one profile there is, or the default one, becomes the default of the catalogue; of several, each is left to say.
 */
export function importAwsConfig(sections: IniSections): Imported {
  const profiles = Object.keys(sections).flatMap((name) => {
    const [, profile] = /^profile\s+(.+)$/.exec(name) ?? [];
    return profile === undefined ? (name === 'default' ? [name] : []) : [profile.replace(/^["']|["']$/g, '')];
  });
  const chosen = profiles.includes('default') ? 'default' : profiles.length === 1 ? profiles[0] : undefined;
  const settings = sections[chosen === 'default' ? 'default' : `profile ${chosen}`] ?? {};
  return {
    targets: [],
    defaults: {
      ...(chosen !== undefined && chosen !== 'default' && { profile: chosen }),
      ...(typeof settings.region === 'string' && { region: settings.region }),
    },
    leftOut: profiles
      .filter((profile) => profile !== chosen)
      .map((profile) => ({
        name: `profile ${profile}`,
        reason: 'name it where it is meant: profile: of a target, or --profile',
      })),
  };
}

/** A configuration of gcloud, `configurations/config_NAME`. @param isActive the one that gcloud uses now */
export function importGcloudConfig(name: string, sections: IniSections, isActive: boolean): Imported {
  const project = sections.core?.project;
  const zone = sections.compute?.zone;
  if (!isActive) {
    const reason = `it is not active; its project is ${project ?? 'not set'}: name it where it is meant, project: of a target`;
    return { targets: [], defaults: {}, leftOut: [{ name: `gcloud configuration ${name}`, reason }] };
  }
  return {
    targets: [],
    defaults: { ...(typeof project === 'string' && { project }), ...(typeof zone === 'string' && { zone }) },
    leftOut: [],
  };
}
