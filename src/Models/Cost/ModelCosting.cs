using Trainer.Models.Attention.Patterns;
using Trainer.Models.Patches;

namespace Trainer.Models;

/// <summary>Adds up the costs of a model's parts; an encoder-decoder's source is taken to be as long as its target.</summary>
internal static class ModelCosting
{
    public static ModelCost Of(ModelOptions model, int vocabularySize)
    {
        vocabularySize = model.EmbeddingRows(vocabularySize);
        model = model with { VocabularySize = vocabularySize };
        LayerOptions[] layers = [.. model.Stacks.SelectMany(stack => stack.Layers)];
        PartCost input = Input(model, vocabularySize), output = Output(model, vocabularySize);
        PartCost attention = Sum(layers.Where(layer => layer.Mixer.Attends).Select(layer => layer.MixerCost(model)))
            + Sum(layers.Select(layer => layer.CrossCost(model)));
        PartCost others = Sum(layers.Where(layer => !layer.Mixer.Attends).Select(layer => layer.MixerCost(model)));
        PartCost feedForward = Sum(layers.Select(layer => layer.FeedForward.Cost(model)));
        PartCost norms = Sum(layers.Select(layer => NormsOf(layer) * layer.Norm.Cost(model.Dim, model.Bias)))
            + model.Stacks.Count * NormsOfStack(model) * model.Norm.Cost(model.Dim, model.Bias);
        PartCost head = model.ExtraHeadCost;
        PartCost blocks = attention + others + feedForward + norms + head;
        return new()
        {
            Components =
            [
                new("embedding", input.Parameters),
                new("position", model.Stacks.Count * model.Position.Parameters(model)),
                new("attention", attention.Parameters),
                .. Others(model, layers),
                new("feedForward", feedForward.Parameters),
                new("norms", norms.Parameters),
                new("head", head.Parameters + output.Parameters),
            ],
            IdleParameters = blocks.IdleParameters,
            MatrixParameters = blocks.MatrixParameters + input.MatrixParameters + output.MatrixParameters,
            FlopsPerToken = blocks.FlopsPerToken,
            Attentions = [.. layers.SelectMany(layer => AttentionsOf(model, layer))],
            Memories = [.. LayerMemories(model)],
        };
    }

    // A table of tokens is looked up; patches are multiplied.
    private static PartCost Input(ModelOptions model, int vocabularySize) => model.PatchInput() is { } patches
        ? PatchEmbedding.Cost(patches, model) + InstanceNorm.Cost(patches)
        : new((long)vocabularySize * model.Dim, 0);

    // A head that is applied once to a row of patches counts once for all its positions.
    private static PartCost Output(ModelOptions model, int outputs)
    {
        long width = model.PatchInput()?.HeadWidth(model.Dim, model.IsCausal) ?? model.Dim, matrix = outputs * width;
        bool tied = model.TieEmbeddings && model.PatchInput() is null;
        int predictions = model.PatchInput()?.Predictions(model.IsCausal) ?? model.ContextLength;
        return new((tied ? 0 : matrix) + (model.HeadBias ? outputs : 0), matrix * predictions / model.ContextLength);
    }

    private static IEnumerable<(long, PatternOptions)> AttentionsOf(ModelOptions model, LayerOptions layer)
    {
        if (layer.Mixer.Attends) yield return (layer.MixerCost(model).FlopsPerTokenAndKey, layer.Attention.ResolvedPattern);
        if (layer.Cross is not null) yield return (layer.CrossCost(model).FlopsPerTokenAndKey, layer.Cross.ResolvedPattern);
    }

    // Mixers other than attention, where there are any: each kind by its name.
    private static IEnumerable<ComponentParameters> Others(ModelOptions model, LayerOptions[] layers) =>
        from layer in layers
        where !layer.Mixer.Attends
        group layer.MixerCost(model).Parameters by layer.Mixer.Component into kind
        select new ComponentParameters(kind.Key, kind.Sum());

    private static IEnumerable<LayerMemory> LayerMemories(ModelOptions model) => model.Stacks
        .Where(stack => stack.IsCausal)
        .SelectMany(stack => stack.Layers)
        .Select(layer => layer.Mixer.Memory(model, layer));

    private static int NormsOf(LayerOptions layer) => layer.Norm.PerBranch * (layer.Cross is null ? 2 : 3);

    private static int NormsOfStack(ModelOptions model) => (model.Norm.EndsStream ? 1 : 0) + (model.EmbeddingNorm ? 1 : 0);

    private static PartCost Sum(IEnumerable<PartCost> parts) => parts.Aggregate(default(PartCost), (sum, part) => sum + part);
}
