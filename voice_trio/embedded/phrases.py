"""What the embedded mind says of its own, in the languages it has words for. It may know nothing."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Phrases:
    """`source` has a place for a title, `unheard` one for the reason; `figures` are words that ask for a number."""

    greeting: str
    source: str
    unknown: str
    unheard: str
    figures: str


PHRASES = {
    "en": Phrases(
        greeting="Hello. Ask me something about the documents.",
        source="According to {}: ",
        unknown="I do not know. I find nothing about that in the documents.",
        unheard="I am sorry, I could not hear you: {}.",
        figures="how much|how many|how warm|how hot|how cold|how long|how deep|how high|how old|how far|how big|"
        "how large|how often|how wide|how tall|how heavy|how fast|how soon|how early|how late|how thick|how bright|"
        "when|temperature|what percentage|what age|what weight|what size|what humidity|number of",
    ),
    "fr": Phrases(
        greeting="Bonjour. Posez-moi une question sur les documents.",
        source="D'après {} : ",
        unknown="Je ne sais pas. Je ne trouve rien à ce sujet dans les documents.",
        unheard="Désolé, je n'ai pas pu vous entendre : {}.",
        figures="combien|quelle temperature|a quelle|a quel age|quand|quelle quantite",
    ),
    "de": Phrases(
        greeting="Guten Tag. Fragen Sie mich etwas zu den Dokumenten.",
        source="Laut {}: ",
        unknown="Das weiß ich nicht. In den Dokumenten finde ich nichts dazu.",
        unheard="Entschuldigung, ich konnte Sie nicht hören: {}.",
        figures="wie viel|wieviel|wie viele|wie warm|wie lang|wie lange|wie hoch|wie tief|wie oft|wie alt|wie schwer|"
        "wann|temperatur",
    ),
    "es": Phrases(
        greeting="Hola. Pregúnteme algo sobre los documentos.",
        source="Según {}: ",
        unknown="No lo sé. No encuentro nada sobre eso en los documentos.",
        unheard="Lo siento, no he podido oírle: {}.",
        figures="cuanto|cuanta|cuantos|cuantas|que temperatura|cuando|a que edad",
    ),
}
