/** `permission set readers` */
export function principalText({ kind, name }: { readonly kind: string; readonly name: string }): string {
  return `${kind.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)} ${name}`;
}
