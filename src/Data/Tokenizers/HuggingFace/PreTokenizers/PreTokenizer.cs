namespace Trainer.Data.HuggingFace;

/// <summary>Cuts text into the pieces that the model tokenizes, perhaps rewriting it.</summary>
internal abstract class PreTokenizer
{
    /// <summary>Hands the pieces of a text on, in order; empty ones are left out.</summary>
    public abstract void Split(ReadOnlySpan<char> text, bool atStart, PieceSink next);

    /// <summary>The pre-tokenizer in front of a sink.</summary>
    public PieceSink Before(PieceSink next) => new Stage(this, next);

    /// <summary>The pre-tokenizers that this one is made of, in order.</summary>
    public virtual IEnumerable<PreTokenizer> Parts => [this];

    private sealed class Stage(PreTokenizer splitter, PieceSink next) : PieceSink
    {
        public override void Accept(ReadOnlySpan<char> piece, bool atStart) => splitter.Split(piece, atStart, next);
    }
}
