using Trainer.Models.Attention;
using Trainer.Models.Attention.Caches;

namespace Trainer.Models.Mixers;

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

    internal override Mixer Build(ModelParts parts, LayerOptions layer) => new AttentionLayer(parts, layer.Attention, layer.HeadNorm(parts), cross: false);
}
