"""What the words on the page mean: one dictionary, from which the "?" beside each term is made."""

import html

TERMS: dict[str, str] = {
    "token": "The piece of text a model reads and writes at a time: a character, a byte, or a frequent part of a word.",
    "tokenizer": "Cuts text into tokens and puts tokens together again. Characters are simplest; bytes can hold any "
    "text; BPE learns frequent parts of words, so that the model reads more text at once.",
    "vocabulary": "All the different tokens a model knows. A larger one makes texts shorter but the model bigger.",
    "dataset": "A text that has been cut into tokens, with a part kept aside for validation.",
    "validation": "The part of the text the model never trains on. How well it predicts that part shows what it has "
    "learned rather than memorised.",
    "loss": "How surprised the model is by the next token, on average. Lower is better; it starts near the logarithm "
    "of the vocabulary size, which is blind guessing.",
    "bits per byte": "How many bits the model would need to write down each byte of the validation text. It can be "
    "compared between models with different tokenizers. 8 is blind guessing; lower is better.",
    "perplexity": "Among how many tokens the model hesitates, on average, at each place.",
    "learning rate": "How far each step moves the model. Too small and it learns slowly; too large and it falls apart.",
    "gradient norm": "How strongly the model wants to change at a step. Sudden peaks mean that training is unsettled.",
    "step": "One small correction of the model, made from one batch of text.",
    "batch size": "How many pieces of text are looked at in one step.",
    "context": "How many tokens the model can look back at.",
    "parameters": "The numbers that make up the model and change while it learns. Those in a table of "
    "n-grams (runs of a few tokens) cost little time, since each token looks up only a few of its rows.",
    "layer": "One block of the model; text passes through all of them, one after the other.",
    "run": "One training of one model, with its settings, curves and checkpoints.",
    "bits": "How many binary digits each number of the model takes. Fewer make the file smaller and the model a little "
    "worse; it can write and be taught, but not be trained any further.",
    "checkpoint": "The model as it was at one moment of its training, saved on disk.",
    "preset": "A complete set of settings that go well together.",
    "temperature": "How adventurous the model is. 0 always takes the likeliest token; 1 follows what it learned; "
    "higher is wilder.",
    "top-k": "Choose among only the k likeliest tokens. 0 means all of them.",
    "top-p": "Choose among the likeliest tokens that together have this probability. 1 means all of them.",
    "min-p": "Leave out tokens that are less likely than this share of the likeliest one. 0 means none.",
    "repetition penalty": "How much less likely a token becomes once it is in the text. 1 changes nothing.",
    "stop text": "The model ends as soon as it has written this; several are divided by |, and \\n is a new line.",
    "max tokens": "Stop after this many tokens, if the model has not ended by itself.",
    "seed": "The start of the dice. The same seed, prompt and settings give the same text again.",
    "samples": "How many texts are written from the same prompt at once.",
    "prompt": "The beginning that the model continues.",
    "session": "What this browser has taught the model. It is kept apart from the model, and nobody else sees it.",
    "fact": "A prompt and the answer the model shall give to it.",
    "long-term adapter": "The memory of each block that is trained together with the model and stays as it is when you "
    "teach.",
    "session adapter": "The second memory of a block. It starts as exactly nothing and is all that teaching changes.",
    "gate": "Decides for each prompt whether it is about something taught. Where it stays closed, the model answers "
    "exactly as if it had never been taught.",
    "base hash": "A fingerprint of the model's own weights. It is the same before and after teaching, because teaching "
    "never touches them.",
    "recital": "Whether the model, left to write freely, says a taught answer exactly and then stops.",
    "repository": "A folder of yours on the Hugging Face Hub, under your user name.",
    "access token": "A password of yours for the Hub, made in your settings there. It is used once and not kept.",
}


def label_class(name: str) -> str:
    """The CSS class by which the page's script finds a label to put the "?" of a term beside."""
    if name not in TERMS:
        raise KeyError(f"{name} is not explained in microformer.ui.terms")
    return "term-" + name.replace(" ", "_")


def question_mark(name: str) -> str:
    """HTML of the "?" for a term, for text that is not a component's label."""
    return (
        f'<button type="button" class="help" data-term="{html.escape(label_class(name)[5:])}" '
        f'aria-label="What is meant by {html.escape(name)}?">?</button>'
    )


def explanations() -> dict[str, dict[str, str]]:
    """What the page's script needs: each term's name and text by the ending of its class."""
    return {label_class(name)[5:]: {"name": name, "text": text} for name, text in TERMS.items()}
