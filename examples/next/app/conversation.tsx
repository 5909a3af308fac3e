"use client";

import { type Voice, useVoice } from "voice-trio/react";

import { Orb } from "./orb";
import { Question } from "./question";
import { Turns } from "./turns";

/** The conversation bears the user's id: it goes on after a change of the page, but never for another user. */
export function Conversation({ url, userId }: { url: string; userId: string }) {
  const voice = useVoice({ url, token: fetchToken, conversation: userId });
  return (
    <main className="conversation" data-state={voice.state}>
      <Turns transcripts={voice.transcripts} passages={voice.context?.passages ?? []} openPassage={voice.getPassage} />
      <footer>
        <Notice voice={voice} />
        <Orb state={voice.state} onPress={() => press(voice)} subscribeLevels={voice.subscribeLevels} />
        <p className="status" role="status">
          {status(voice)}
        </p>
        <Question voice={voice} />
      </footer>
    </main>
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
function Notice({ voice }: { voice: Voice }) {
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

function Alert({ text }: { text: string }) {
  return (
    <p className="notice" role="alert">
      {text}
    </p>
  );
}

function press(voice: Voice) {
  if (voice.state === "idle" || voice.state === "error") voice.startConversation();
  else if (voice.state === "speaking" || voice.state === "thinking") voice.interrupt();
  else voice.stopConversation();
}

function status(voice: Voice) {
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

/** Asks this application's own server, which knows who is signed in. */
async function fetchToken(): Promise<string> {
  const response = await fetch("/api/voice-token", { method: "POST" });
  if (!response.ok) throw new Error(await response.text());
  return response.text();
}
