/** Gives the colours of tokens to what draws by itself: canvas and WebGL know nothing of style sheets. */
import { useEffect, useState } from "preact/hooks";
import { theme } from "./theme";

const isDark = matchMedia("(prefers-color-scheme: dark)");

/** Return the colour that an expression such as `var(--accent)` has now, as red, green, blue and alpha of a canvas. */
export function colourOf(expression: string): string {
  const probe = document.createElement("span");
  probe.style.color = expression;
  document.body.append(probe);
  const colour = getComputedStyle(probe).color;
  probe.remove();
  return colour;
}

/** Return which colours are shown, and show the component anew when they change. */
export function useColours(): "light" | "dark" {
  const [system, setSystem] = useState(isDark.matches);
  useEffect(() => {
    const change = () => setSystem(isDark.matches);
    isDark.addEventListener("change", change);
    return () => isDark.removeEventListener("change", change);
  }, []);
  if (theme.value !== "system") return theme.value;
  return system ? "dark" : "light";
}
