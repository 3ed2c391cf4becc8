// Shapes: B batch, T positions, C model dimension.
using System.Text.Json.Serialization;
using Trainer.Configuration;
using Trainer.Models.Attention;
using Trainer.Models.Attention.Caches;
using Trainer.Models.Positions;
using static TorchSharp.torch;

namespace Trainer.Models.Mixers;

/// <summary>Configuration of a mixer. A new one is one file and one <see cref="JsonDerivedTypeAttribute"/> line here.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(AttentionMixerOptions), "attention")]
[JsonDerivedType(typeof(Mamba2Options), "mamba2")]
public abstract record MixerOptions : IValidated
{
    /// <inheritdoc/>
    public virtual IEnumerable<Problem> Validate() => [];

    internal string Type => Registered.Name(typeof(MixerOptions), GetType());

    internal abstract bool Attends { get; }

    /// <summary>Whether it only looks back, and so fits no encoder.</summary>
    internal abstract bool OnlyLooksBack { get; }

    internal abstract string Component { get; }

    internal virtual IEnumerable<Problem> Against(ModelOptions model) => [];

    internal abstract PartCost Cost(ModelOptions model, LayerOptions layer);

    internal abstract LayerMemory Memory(ModelOptions model, LayerOptions layer);

    internal abstract Mixer Build(StackContext stack, LayerOptions layer);
}

/// <summary>Attention, as the layer's <c>attention</c> and <c>position</c> say.</summary>
public sealed record AttentionMixerOptions : MixerOptions
{
    internal override bool Attends => true;

    internal override bool OnlyLooksBack => false;

    internal override string Component => "attention";

    internal override PartCost Cost(ModelOptions model, LayerOptions layer) =>
        layer.Attention.Cost(model) + new PartCost(layer.Attention.ScalableSoftmax ? layer.Attention.Heads : 0, 0);

    internal override LayerMemory Memory(ModelOptions model, LayerOptions layer) =>
        CacheSelection.Cost(layer.Attention, layer.Attention.CacheLayout(model.Dim));

    internal override Mixer Build(StackContext stack, LayerOptions layer) =>
        new AttentionLayer(stack, layer.Attention, layer.HeadNorm(stack), cross: false);
}

/// <summary>The part of a block in which positions exchange information: attention, or a recurrence.</summary>
internal abstract class Mixer(string name) : nn.Module(name)
{
    public abstract Tensor Mix(Tensor x, MixerContext context); // (B, T, C) → (B, T, C)

    public abstract LayerState NewState(int batch, int capacity, Device device);

    /// <summary>The kernel for a whole sequence, <paramref name="biased"/> if positions add to scores; null without a choice.</summary>
    public virtual KernelChoice? Kernel(int length, Device device, bool biased) => null;
}

/// <summary>What a mixer reads besides its input; <c>State</c> is null if the input is the whole sequence.</summary>
internal readonly record struct MixerContext(AttentionContext Attention, int Layer, PositionEncoding Position, LayerState? State)
{
    public int Offset => Attention.Offset;
}
