import { render } from "@testing-library/preact";
import { expect, test } from "vitest";
import { legible, showLegibly } from "../src/parts/legible";

test("signs that turn the direction of reading are written out, and nothing else", () => {
  expect(legible("\u202eexe.gpj\u202c")).toBe("\\u202eexe.gpj\\u202c");
  expect(legible("שלום <b> \n")).toBe("שלום <b> \n");
});

test("whatever is shown is legible, also once it changes", () => {
  showLegibly();
  const Name = ({ name }: { name: string }) => <span title={name}>of {name}</span>;
  const { container, rerender } = render(<Name name={"\u202egpj.exe"} />);
  expect(container.innerHTML).toBe('<span title="\\u202egpj.exe">of \\u202egpj.exe</span>');
  rerender(<Name name={"\u2066other"} />);
  expect(container.innerHTML).toBe('<span title="\\u2066other">of \\u2066other</span>');
});
