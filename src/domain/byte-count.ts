/** `18.4 MB`, `0.9 MB`, `80 kB`, `12 B`: decimal units, one decimal from a tenth of a megabyte up. */
export function formatByteCount(byteCount: number): string {
  if (byteCount >= 1e9) return `${(byteCount / 1e9).toFixed(1)} GB`;
  if (byteCount >= 1e5) return `${(byteCount / 1e6).toFixed(1)} MB`;
  if (byteCount >= 1e3) return `${Math.round(byteCount / 1e3)} kB`;
  return `${byteCount} B`;
}
