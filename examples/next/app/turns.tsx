import { useEffect, useRef, useState } from "react";
import type { Passage, VoiceEvents } from "voice-trio";
import type { Transcript, Voice } from "voice-trio/react";

const PASSAGES_SHOWN = 3;

interface TurnsProps {
  transcripts: readonly Transcript[];
  /** What the newest answer was given. */
  passages: VoiceEvents["context"]["passages"];
  openPassage: Voice["getPassage"];
}

/** What was said so far, and the passages under the newest answer. */
export function Turns({ transcripts, passages, openPassage }: TurnsProps) {
  const [opened, setOpened] = useState<Passage | null>(null);
  const end = useRef<HTMLDivElement>(null);
  useEffect(() => {
    end.current?.scrollIntoView({ block: "end" }); // in newer browsers it returns a promise, which is no clean-up
  }, [transcripts]);
  if (!transcripts.length) {
    return (
      <div className="hint">
        <h1>Ask, and listen.</h1>
        <p>“How warm must the brooder be in the first week?”</p>
      </div>
    );
  }
  const shown = transcripts.at(-1)?.role === "assistant" ? passages.slice(0, PASSAGES_SHOWN) : [];
  return (
    <div className="turns">
      <ol aria-live="polite">
        {transcripts.map(({ itemId, role, text }) => (
          <li key={itemId} className={role}>
            {text}
          </li>
        ))}
      </ol>
      <div className="sources">
        {shown.map(({ id, title }) => (
          <button key={title} type="button" disabled={!id} onClick={() => openPassage(id!).then(setOpened, ignore)}>
            {title}
          </button>
        ))}
      </div>
      <div ref={end} />
      {opened && <PassageDialog passage={opened} onClose={() => setOpened(null)} />}
    </div>
  );
}

function PassageDialog({ passage, onClose }: { passage: Passage; onClose(): void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    dialog.current?.showModal();
  }, []);
  return (
    <dialog ref={dialog} onClose={onClose}>
      <h2>{passage.title}</h2>
      <p>{passage.text}</p>
      <form method="dialog">
        <button className="plain">Close</button>
      </form>
    </dialog>
  );
}

/** The gateway forgets passages with the session: a title from before may not open. */
function ignore() {}
