// The front end that was there before this gateway, by its behaviour: it sends base64 frames half a second after
// connecting, ready or not; takes every `error` for a failure; connects again after every close, and counts its
// attempts from every open. Run by Node with --experimental-websocket; prints what happened as JSON.
// Arguments: URL, seconds between close and reconnect, seconds to live.

const [url, pauseSeconds, lifeSeconds] = process.argv.slice(2);
const ATTEMPTS_MAX = 5;
const CHUNK_MS = 85; // 2,048 samples of its recorder
const LOUD_MS = 2600;
const happened = { sent: [], opens: 0, closes: [], failures: [], types: [], audioMs: 0, audioAfterInterruptMs: 0 };
let attempts = 0;
let interruptedAt = null;

function chunk(at) {
  const samples = new Int16Array(24 * CHUNK_MS);
  if (at < LOUD_MS) samples.forEach((_, i) => (samples[i] = 6000 * Math.sin((2 * Math.PI * 250 * i) / 24_000)));
  return Buffer.from(samples.buffer).toString("base64");
}

function connect() {
  const socket = new WebSocket(url);
  const send = (event) => {
    if (socket.readyState !== WebSocket.OPEN) return;
    if (!happened.sent.includes(event.type)) happened.sent.push(event.type);
    socket.send(JSON.stringify(event));
  };
  let at = 0;
  let recorder = null;
  socket.onopen = () => {
    happened.opens += 1;
    attempts = 0;
    setTimeout(() => {
      recorder = setInterval(() => {
        send({ type: "audio.input", audio: chunk(at) });
        at += CHUNK_MS;
      }, CHUNK_MS);
    }, 500);
  };
  socket.onmessage = ({ data }) => {
    const event = JSON.parse(data);
    happened.types.push(event.type);
    if (event.type === "error") happened.failures.push(event.error.code);
    if (event.type === "conversation.item.input_audio_transcription.completed") {
      send({ type: "language.detected", language: "en" });
    }
    if (event.type !== "response.audio.delta") return;
    const ms = Buffer.from(event.delta, "base64").length / 48;
    happened.audioMs += ms;
    if (interruptedAt === null && happened.audioMs >= 500) {
      interruptedAt = Date.now();
      send({ type: "interrupt" });
      setTimeout(finish, 1500);
    } else if (interruptedAt !== null && Date.now() - interruptedAt > 100) {
      happened.audioAfterInterruptMs += ms;
    }
  };
  // A browser fires both when the upgrade is refused; Node 20 fires the first only.
  socket.onerror = () => setTimeout(closed, 50, { code: 1006, reason: "" });
  socket.onclose = closed;
  let isClosed = false;
  function closed({ code, reason }) {
    if (isClosed) return;
    isClosed = true;
    clearInterval(recorder);
    happened.closes.push([code, reason]);
    attempts += 1;
    if (attempts <= ATTEMPTS_MAX) setTimeout(connect, 1000 * pauseSeconds);
    else finish();
  }
}

function finish() {
  process.stdout.write(JSON.stringify({ ...happened, attempts }));
  process.exit(0);
}

connect();
setTimeout(finish, 1000 * lifeSeconds);
