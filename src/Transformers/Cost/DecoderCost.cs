namespace Trainer.Transformers;

/// <summary>Adds up the costs of a decoder's parts.</summary>
internal static class DecoderCost
{
    public static ModelCost Of(DecoderOptions model, int vocabularySize)
    {
        LayerOptions[] layers = [.. Enumerable.Range(0, model.Layers).Select(model.Layer)];
        long table = (long)vocabularySize * model.Dim;
        PartCost attention = Sum(layers.Select(layer => layer.Attention.Cost(model)));
        PartCost feedForward = Sum(layers.Select(layer => layer.FeedForward.Cost(model)));
        PartCost norms = Sum(layers.Select(layer => 2 * layer.Norm.Cost(model.Dim, model.Bias))) + model.Norm.Cost(model.Dim, model.Bias);
        PartCost blocks = attention + feedForward + norms;
        return new()
        {
            Components =
            [
                new("embedding", table),
                new("position", model.Position.Parameters(model)),
                new("attention", attention.Parameters),
                new("feedForward", feedForward.Parameters),
                new("norms", norms.Parameters),
                new("head", model.TieEmbeddings ? 0 : table),
            ],
            MatrixParameters = blocks.MatrixParameters + table,
            FlopsPerTokenAndKey = blocks.FlopsPerTokenAndKey,
            CacheNumbersPerToken = layers.Sum(layer => (long)layer.Attention.CacheLayout(model.Dim).NumbersPerToken),
            // The embeddings, and the logits three times over: their log-softmax, its gradient and their own.
            ActivationsPerToken = blocks.Activations + model.Dim + 3L * vocabularySize,
            ActivationsPerTokenAndKey = blocks.ActivationsPerKey,
        };
    }

    private static PartCost Sum(IEnumerable<PartCost> parts) => parts.Aggregate(default(PartCost), (sum, part) => sum + part);
}
