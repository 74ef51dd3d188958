/** Text from a bucket, made safe for a terminal: control and invisible characters become question marks. */
export function printable(text: string): string {
  return text.replaceAll(/\p{C}/gu, '?');
}
