import { type FormEvent, useState } from "react";
import type { Voice } from "voice-trio/react";

/** A text field, and what ends or mutes the conversation. */
export function Question({ voice }: { voice: Voice }) {
  const [text, setText] = useState("");
  const isEnabled = voice.isConnected;
  const ask = (event: FormEvent) => {
    event.preventDefault();
    if (voice.sendText(text)) setText("");
  };
  return (
    <form className="question" onSubmit={ask}>
      <input
        aria-label="Your question"
        placeholder={isEnabled ? "Type a question" : "Start talking to ask"}
        disabled={!isEnabled}
        value={text}
        onChange={(event) => setText(event.target.value)}
      />
      {isEnabled && (
        <>
          <Mute voice={voice} />
          <button type="button" className="plain" onClick={voice.stopConversation}>
            End
          </button>
        </>
      )}
    </form>
  );
}

function Mute({ voice }: { voice: Voice }) {
  const isMuted = voice.microphone === "muted";
  if (!isMuted && voice.microphone !== "on") return null;
  return (
    <button type="button" className="plain" aria-pressed={isMuted} onClick={() => voice.mute(!isMuted)}>
      Mute
    </button>
  );
}
