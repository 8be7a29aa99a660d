/** Gives people files to take along. */

/** Let the browser keep a text as a file. */
export function keepFile(name: string, type: string, text: string): void {
  keepBlob(name, new Blob([text], { type }));
}

/** Let the browser keep what was downloaded as a file. */
export function keepBlob(name: string, content: Blob): void {
  const url = URL.createObjectURL(content);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  URL.revokeObjectURL(url);
}
