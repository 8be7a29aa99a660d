/** Shows a secret, this once. */
import { Button } from "../parts/Button";
import { CopyText } from "../parts/CopyText";
import { Dialog } from "../parts/Dialog";
import { Form } from "../parts/Field";

export function Secret({ title, secret, close }: { title: string; secret: string; close: () => void }) {
  return (
    <Dialog title={title} close={close}>
      <Form send={close}>
        <p>It is shown this once. Keep it where only its program can read it.</p>
        <CopyText text={secret} label="the key" />
        <Button kind="main" type="submit">
          I have kept it
        </Button>
      </Form>
    </Dialog>
  );
}
