using Trainer.Checkpoints.HuggingFace.Families;
using Trainer.Checkpoints.Weights;
using Trainer.Models;

namespace Trainer.Checkpoints.Gguf;

/// <summary>A family as llama.cpp knows it: its settings and its tensors.</summary>
/// <remarks>A new one is one file and one line in <see cref="GgufLayouts"/>.</remarks>
internal abstract class GgufLayout
{
    /// <summary>llama.cpp's name, <c>general.architecture</c>.</summary>
    public abstract string Architecture { get; }

    /// <summary>What llama.cpp cannot compute of this model, or null.</summary>
    public virtual string? Obstacle(ModelOptions model) => null;

    /// <summary>Adds the settings, each as <c>architecture.key</c>.</summary>
    public abstract void Describe(ModelOptions model, int vocabulary, Action<string, object?> add);

    /// <summary>The tensors.</summary>
    public abstract IEnumerable<WeightRule> Weights(ModelOptions model, int vocabulary);

    /// <summary>Matrices that llama.cpp wants in float32 whatever the others are.</summary>
    public virtual bool StaysFloat32(string tensor) => tensor.EndsWith("ffn_gate_inp.weight", StringComparison.Ordinal) || tensor == "position_embd.weight" || tensor == "rope_freqs.weight";

    /// <summary>The settings that every family has.</summary>
    protected static void DescribeSizes(ModelOptions model, int vocabulary, Action<string, object?> add)
    {
        HeadShape shape = HeadShape.Of(model);
        add("vocab_size", vocabulary);
        add("context_length", model.ContextLength);
        add("embedding_length", model.Dim);
        add("block_count", model.Layers);
        add("feed_forward_length", model.FeedForward.Width(model.Dim));
        add("attention.head_count", shape.Heads);
        add("attention.head_count_kv", shape.Groups);
    }
}
