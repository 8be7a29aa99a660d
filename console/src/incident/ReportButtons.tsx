/** Downloads the report of an incident: the token is sent, so that no address lets anybody in. */
import { Download } from "lucide-preact";
import { useState } from "preact/hooks";
import { answered, api } from "../api/client";
import { Button } from "../parts/Button";
import { keepBlob } from "../parts/files";
import { tell } from "../parts/tell";

const FORMATS = ["html", "pdf"] as const;

export function ReportButtons({ id }: { id: string }) {
  const [busy, setBusy] = useState("");
  const download = async (format: (typeof FORMATS)[number]) => {
    setBusy(format);
    try {
      const params = { path: { incident_id: id }, query: { format } };
      const file = await answered(api.GET("/api/v1/incidents/{incident_id}/report", { params, parseAs: "blob" }));
      keepBlob(`incident-${id}.${format}`, file as unknown as Blob);
    } catch (error) {
      tell(`No report was made: ${(error as Error).message}`, "failed");
    }
    setBusy("");
  };
  return (
    <>
      {FORMATS.map((format) => (
        <Button key={format} disabled={busy !== ""} onClick={() => void download(format)}>
          <Download size={15} aria-hidden="true" /> {busy === format ? "Being made" : `Report, ${format.toUpperCase()}`}
        </Button>
      ))}
    </>
  );
}
