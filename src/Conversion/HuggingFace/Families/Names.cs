namespace Trainer.Conversion.HuggingFace.Families;

/// <summary>The names of this program's modules, as they stand in a checkpoint.</summary>
internal static class Names
{
    public const string Embedding = "embedding.weight";
    public const string Position = "position.weight";
    public const string Norm = "norm";
    public const string Head = "head.weight";

    /// <summary>The name of something in a block.</summary>
    public static string Block(int layer, string what) => $"blocks.{layer}.{what}";

    public const string MixerNorm = "mixerNorm";
    public const string Qkv = "mixer.projection.qkv";
    public const string QueryNorm = "mixer.projection.queryNorm.weight";
    public const string KeyNorm = "mixer.projection.keyNorm.weight";
    public const string Output = "mixer.output";
    public const string FeedForwardNorm = "feedForwardNorm";
    public const string GateUp = "feedForward.gateUp";
    public const string Up = "feedForward.up";
    public const string Down = "feedForward.down";
}
