import { useVoice } from "voice-trio/react";

import { Orb } from "./Orb.jsx";
import { Question } from "./Question.jsx";
import { Turns } from "./Turns.jsx";
import { fetchToken } from "./token.js";

const URL = import.meta.env.VITE_VOICE_URL ?? "ws://127.0.0.1:8000/v1/ws/voice";

export function Conversation({ onClose }) {
  const voice = useVoice({ url: URL, token: fetchToken });
  return (
    <section className="panel" aria-label="Assistant" data-state={voice.state}>
      <Head voice={voice} onClose={onClose} />
      <Turns transcripts={voice.transcripts} passages={voice.context?.passages ?? []} openPassage={voice.getPassage} />
      <Notice voice={voice} />
      <Orb state={voice.state} onPress={() => press(voice)} subscribeLevels={voice.subscribeLevels} />
      <p className="status" role="status">
        {status(voice)}
      </p>
      <Question voice={voice} />
    </section>
  );
}

function Head({ voice, onClose }) {
  return (
    <header>
      <h2>Assistant</h2>
      {voice.isConnected && (
        <>
          <Mute voice={voice} />
          <button type="button" className="plain" onClick={voice.stopConversation}>
            End
          </button>
        </>
      )}
      <button type="button" className="plain" aria-label="Close" onClick={onClose}>
        ✕
      </button>
    </header>
  );
}

function Mute({ voice }) {
  const isMuted = voice.microphone === "muted";
  if (!isMuted && voice.microphone !== "on") return null;
  return (
    <button type="button" className="plain" aria-pressed={isMuted} onClick={() => voice.mute(!isMuted)}>
      Mute
    </button>
  );
}

const REFUSED = {
  denied: "The microphone is not allowed. You can type.",
  missing: "There is no microphone. You can type.",
  busy: "Another program uses the microphone. You can type.",
  insecure: "Microphones work over https only. You can type.",
  unreachable: "The page's files cannot be reached. You can type.",
  failed: "The microphone does not work. You can type.",
};

/** What needs the user, if anything does. */
function Notice({ voice }) {
  const { error, microphone, microphoneReason, output } = voice;
  if (output === "blocked" || output === "suspended" || output === "interrupted") {
    return (
      <button type="button" className="notice" onClick={voice.resumeAudio}>
        Turn the sound on
      </button>
    );
  }
  if (error) return <Alert text={error.message || error.code} />;
  if (microphone === "refused") return <Alert text={REFUSED[microphoneReason ?? "failed"]} />;
  return null;
}

function Alert({ text }) {
  return (
    <p className="notice" role="alert">
      {text}
    </p>
  );
}

function press(voice) {
  if (voice.state === "idle" || voice.state === "error") voice.startConversation();
  else if (voice.state === "speaking" || voice.state === "thinking") voice.interrupt();
  else voice.stopConversation();
}

function status(voice) {
  if (voice.isReconnecting) return "Connection lost. Trying again …";
  if (voice.isListening && voice.microphone === "muted") return "Muted";
  if (voice.isListening && voice.microphone === "refused") return "Connected";
  if (voice.isListening && voice.secondsLeft !== null) return `Listening. ${voice.secondsLeft} seconds left`;
  return {
    idle: voice.canResume ? "Press to continue" : "Press to talk",
    connecting: "Connecting …",
    listening: "Listening",
    thinking: voice.waitingSeconds ? "Still thinking …" : "Thinking …",
    speaking: "Speaking. Press to interrupt",
    error: "Press to try again",
  }[voice.state];
}
