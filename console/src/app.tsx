/** Frames all pages: who is logged in, where one can go, and what came of what one did. */
import { LogOut, Menu, Monitor, Moon, Sun } from "lucide-preact";
import { Suspense } from "preact/compat";
import { useEffect, useState } from "preact/hooks";
import { Link, Route, Router, Switch, useLocation } from "wouter-preact";
import { useFeed } from "./api/following";
import { logOut, may, principal, state } from "./api/session";
import { link } from "./api/stream";
import style from "./app.module.css";
import { useKeys } from "./keyboard";
import { LogIn } from "./LogIn";
import { Button } from "./parts/Button";
import { KeyHelp } from "./parts/KeyHelp";
import { Messages } from "./parts/Messages";
import { Page as Head } from "./parts/Page";
import { Empty, Loading } from "./parts/States";
import { GROUPS, PAGES, type Page } from "./routes";
import { theme, turn } from "./style/theme";

export function App() {
  if (state.value === "unknown") return <Loading what="the console" />;
  if (state.value === "out") return <LogIn />;
  return (
    <Router base="/console">
      <Frame />
    </Router>
  );
}

function Frame() {
  const [path, go] = useLocation();
  const [isOpen, setOpen] = useState(false);
  const [isHelp, setHelp] = useState(false);
  useKeys(goingKeys(go, () => setHelp(true)));
  useTitle(path);
  useFeed(["system"], [], () => {}); // the connection is there on every page, and the bar says how it is
  return (
    <div class={style.frame}>
      <a class={style.skip} href="#main">
        Skip to the page
      </a>
      <header class={style.bar}>
        <Button
          kind="quiet"
          class={style.burger}
          aria-label="Pages"
          aria-expanded={isOpen}
          onClick={() => setOpen(!isOpen)}
        >
          <Menu size={18} />
        </Button>
        <Link href="/" class={style.name}>
          <img src="/console/icon.svg" alt="" width="24" height="24" /> InfraSpectre
        </Link>
        <Live />
        <div class={style.who}>
          <Link href="/settings" class={style.self} title="Your settings and password">
            {principal.value?.subject} · {principal.value?.role}
          </Link>
          <ThemeButton />
          <Button kind="quiet" aria-label="Log out" title="Log out" onClick={() => void logOut()}>
            <LogOut size={16} />
          </Button>
        </div>
      </header>
      <Pages isOpen={isOpen} path={path} close={() => setOpen(false)} />
      <main id="main" class={style.main} tabIndex={-1}>
        <Suspense fallback={<Loading what="the page" />}>
          <Switch>
            {PAGES.flatMap((page) => (may(page.role) ? routesOf(page) : [barredOf(page)]))}
            <Route>
              <Head title="There is no such page">
                <p>
                  Its address may be mistyped. Go to the <Link href="/">overview</Link>.
                </p>
              </Head>
            </Route>
          </Switch>
        </Suspense>
      </main>
      {isHelp && <KeyHelp close={() => setHelp(false)} />}
      <Messages />
    </div>
  );
}

function routesOf(page: Page) {
  const { detail } = page;
  const list = (
    <Route key={page.path} path={page.path}>
      <page.show />
    </Route>
  );
  if (!detail) return [list];
  return [
    list,
    <Route key={detail.path} path={detail.path}>
      {({ id }: { id?: string }) => <detail.show key={id} params={{ id: decodeURIComponent(id ?? "") }} />}
    </Route>,
  ];
}

function barredOf(page: Page) {
  return (
    <Route key={page.path} path={page.path} nest>
      <Head title={page.title}>
        <Empty title="Your role may not see this page">
          It takes the role {page.role}; yours is {principal.value?.role}. An administrator can give you another.
        </Empty>
      </Head>
    </Route>
  );
}

function Pages({ isOpen, path, close }: { isOpen: boolean; path: string; close: () => void }) {
  return (
    <nav class={`${style.nav} ${isOpen ? style.open : ""}`} aria-label="Pages">
      {GROUPS.map((group) => (
        <section key={group.title}>
          <h2 class={style.group}>{group.title}</h2>
          <ul>
            {group.pages
              .filter((page) => may(page.role))
              .map((page) => (
                <li key={page.path}>
                  <Link
                    href={page.path}
                    class={style.page}
                    aria-current={isIn(path, page) ? "page" : undefined}
                    onClick={close}
                  >
                    <page.icon size={16} aria-hidden="true" /> {page.title}
                  </Link>
                </li>
              ))}
          </ul>
        </section>
      ))}
    </nav>
  );
}

function isIn(path: string, page: Page): boolean {
  return page.path === "/" ? path === "/" : path === page.path || path.startsWith(`${page.path}/`);
}

const WORDS = { connecting: "connecting", live: "live", away: "not connected; trying again" };

function Live() {
  return (
    <span class={`${style.live} ${style[link.value]}`} role="status">
      <span aria-hidden="true">{link.value === "live" ? "●" : "○"}</span> {WORDS[link.value]}
    </span>
  );
}

function ThemeButton() {
  const Icon = { system: Monitor, light: Sun, dark: Moon }[theme.value];
  return (
    <Button kind="quiet" aria-label={`Colours: ${theme.value}`} title={`Colours: ${theme.value}`} onClick={turn}>
      <Icon size={16} />
    </Button>
  );
}

function goingKeys(go: (path: string) => void, help: () => void): Record<string, () => void> {
  const pages = PAGES.filter((page) => page.key && may(page.role));
  return { "?": help, ...Object.fromEntries(pages.map((page) => [`g ${page.key}`, () => go(page.path)])) };
}

function useTitle(path: string): void {
  useEffect(() => {
    const page = PAGES.find((each) => isIn(path, each));
    document.title = page ? `${page.title} · InfraSpectre` : "InfraSpectre";
  }, [path]);
}
