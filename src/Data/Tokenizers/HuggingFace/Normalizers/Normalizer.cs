namespace Trainer.Data.HuggingFace;

/// <summary>Rewrites text before it is cut into pieces.</summary>
internal abstract class Normalizer
{
    /// <summary>The rewritten text; it may be empty.</summary>
    public abstract string Apply(string text);
}
