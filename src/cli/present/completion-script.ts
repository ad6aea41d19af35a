/** The shells that are completed in. */
export const COMPLETED_SHELLS = ['bash', 'zsh', 'fish'] as const;
export type CompletedShell = (typeof COMPLETED_SHELLS)[number];

/** A name that scripts may put options behind. */
const PROGRAM = 'cloudtun';

const SCRIPTS: Readonly<Record<CompletedShell, string>> = {
  bash: `_cloudtun() {
  local IFS=$'\\n'
  COMPREPLY=($(cloudtun __complete bash "\${COMP_LINE:0:$COMP_POINT}" 2>/dev/null))
}
complete -o default -F _cloudtun cloudtun`,
  zsh: `#compdef cloudtun
_cloudtun() {
  local -a found
  found=("\${(@f)$(cloudtun __complete zsh "\${(j: :)words[1,CURRENT]}" 2>/dev/null)}")
  if (( \${#found[1]} )); then _describe -V ${PROGRAM} found; else _files; fi
}
compdef _cloudtun cloudtun`,
  fish: `complete -c ${PROGRAM} -f -a '(cloudtun __complete fish (commandline -cp) 2>/dev/null)'`,
};

/** Where a shell looks for it, for people. */
export const COMPLETION_PLACES: Readonly<Record<CompletedShell, string>> = {
  bash: 'eval "$(cloudtun completion bash)"    in ~/.bashrc',
  zsh: 'eval "$(cloudtun completion zsh)"    in ~/.zshrc, behind compinit',
  fish: 'cloudtun completion fish > ~/.config/fish/completions/cloudtun.fish',
};

/** What makes a shell ask `cloudtun __complete` for names, flags and commands. */
export function completionScript(shell: CompletedShell): string {
  return SCRIPTS[shell];
}
