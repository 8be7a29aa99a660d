/** Shows the console. */
import { QueryClientProvider } from "@tanstack/preact-query";
import { render } from "preact";
import { questions } from "./api/client";
import { resume } from "./api/session";
import { App } from "./app";
import { showLegibly } from "./parts/legible";
import "./style/tokens.css";
import "./style/base.css";
import "./style/theme";

showLegibly();
const root = document.getElementById("console");
if (root) {
  render(
    <QueryClientProvider client={questions}>
      <App />
    </QueryClientProvider>,
    root,
  );
}
void resume();
