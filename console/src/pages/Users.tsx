/** Manages who may use the platform: users, keys of programs, and tenants. */
import { principal } from "../api/session";
import { Page } from "../parts/Page";
import { Tabs } from "../parts/Tabs";
import { Keys } from "../users/Keys";
import { People } from "../users/People";
import { Tenants } from "../users/Tenants";

export default function Users() {
  const tabs = [
    { key: "users", title: "Users", show: () => <People /> },
    { key: "keys", title: "Keys of programs", show: () => <Keys /> },
    ...(principal.value?.tenant === "default" ? [{ key: "tenants", title: "Tenants", show: () => <Tenants /> }] : []),
  ];
  return (
    <Page
      title="Users and keys"
      note="People log in; programs have keys. Each sees what its role may, within its tenant."
    >
      <div>
        <Tabs label="Parts of this page" tabs={tabs} />
      </div>
    </Page>
  );
}
