namespace Trainer.Data.HuggingFace;

/// <summary>A vocabulary, and the way that pieces become tokens of it.</summary>
internal abstract class Model
{
    /// <summary>The model's name in small letters.</summary>
    public abstract string Name { get; }

    /// <summary>The tokens by id; null where an id is not given.</summary>
    public abstract IReadOnlyList<string?> Tokens { get; }

    /// <summary>The id of a token, or −1.</summary>
    public abstract int Id(ReadOnlySpan<char> token);

    /// <summary>The number of tokens, from which Hugging Face numbers added tokens that have no number.</summary>
    public abstract int Size { get; }

    /// <summary>Whether every byte's symbol is a token and nothing is put before or after symbols, so that bytes can be read without symbols.</summary>
    public virtual bool ReadsBytes => false;

    /// <summary>Starts an encoder.</summary>
    /// <param name="readsBytes">Whether it is given text and reads its bytes, where <see cref="ReadsBytes"/> allows it.</param>
    public abstract ModelEncoder CreateEncoder(bool readsBytes);
}
