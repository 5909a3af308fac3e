export default function About() {
  return (
    <main className="about">
      <h1>What you can ask</h1>
      <p>
        The assistant has read a handbook on keeping poultry: warmth, light, water, feed and health. It says from which
        pages an answer comes.
      </p>
      <p>Your voice goes to the gateway while you talk. Leaving this page closes the microphone.</p>
    </main>
  );
}
