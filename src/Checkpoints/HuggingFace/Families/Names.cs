namespace Trainer.Checkpoints.HuggingFace.Families;

/// <summary>The names of this program's modules, as they stand in a checkpoint.</summary>
internal static class Names
{
    public const string Embedding = "embedding.weight";
    public const string Position = "position.weight";
    public const string EmbeddingNorm = "embeddingNorm";
    public const string Norm = "norm";
    public const string Head = "head.weight";
    public const string HeadBias = "head.bias";
    public const string HeadTransform = "head.transform.dense";
    public const string HeadTransformNorm = "head.transform.norm";

    public const string MixerNorm = "mixerNorm";
    public const string Mixer = "mixer";
    public const string Cross = "cross";
    public const string CrossNorm = "crossNorm";
    public const string FeedForwardNorm = "feedForwardNorm";
    public const string FeedForward = "feedForward";

    /// <summary>The name of something in a block, of the only stack or of the one named.</summary>
    public static string Block(int layer, string what, string stack = "") => $"{stack}blocks.{layer}.{what}";
}
