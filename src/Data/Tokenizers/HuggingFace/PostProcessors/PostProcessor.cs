namespace Trainer.Data.HuggingFace;

/// <summary>Puts special tokens around one sequence or two.</summary>
internal abstract class PostProcessor
{
    /// <summary>Whether it ever adds tokens.</summary>
    public virtual bool Adds => true;

    /// <summary>The tokens around a single sequence.</summary>
    public virtual TextFrame Frame => TextFrame.Empty;

    /// <summary>The tokens of one sequence, or of a pair, with the special ones.</summary>
    public abstract int[] Apply(int[] first, int[]? second);
}
