/** Leads to the parts of a long page, and stays in sight. */
import style from "./Sections.module.css";

export type Part = { id: string; title: string };

export function Sections({ parts }: { parts: Part[] }) {
  return (
    <nav class={style.sections} aria-label="Parts of this page">
      {parts.map((part) => (
        <a key={part.id} href={`#${part.id}`}>
          {part.title}
        </a>
      ))}
    </nav>
  );
}
