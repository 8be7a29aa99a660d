/** Remembers whether the console is light or dark; without a choice it is as the system is. */
import { signal } from "@preact/signals";

export type Theme = "system" | "light" | "dark";
const KEY = "infraspectre.theme";

function isTheme(value: string | null): value is Theme {
  return value === "system" || value === "light" || value === "dark";
}

const kept = localStorage.getItem(KEY);
export const theme = signal<Theme>(isTheme(kept) ? kept : "system");

theme.subscribe((now) => {
  document.documentElement.style.colorScheme = now === "system" ? "light dark" : now;
  localStorage.setItem(KEY, now);
});

/** Go on to the next of system, light and dark. */
export function turn(): void {
  const order: Theme[] = ["system", "light", "dark"];
  theme.value = order[(order.indexOf(theme.value) + 1) % order.length] ?? "system";
}
