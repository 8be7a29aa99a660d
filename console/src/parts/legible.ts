/** Shows signs that turn the direction of reading, which a name of an attacker may hold to look like another. */
const TURNING = /[\u202a-\u202e\u2066-\u2069]/g;

/** Return a text in which such signs are written out, as `\u202e`. */
export const legible = (text: string): string =>
  text.replace(TURNING, (sign) => `\\u${sign.charCodeAt(0).toString(16)}`);
