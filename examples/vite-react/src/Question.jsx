import { useState } from "react";

/** A text field. */
export function Question({ voice }) {
  const [text, setText] = useState("");
  const isEnabled = voice.isConnected;
  const ask = (event) => {
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
    </form>
  );
}
