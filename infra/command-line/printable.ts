/** Text from elsewhere (a bucket, a role's name, an error), made safe for a terminal: control and invisible characters become question marks. */
export function printable(text: string): string {
  return text.replaceAll(/\p{C}/gu, '?');
}
