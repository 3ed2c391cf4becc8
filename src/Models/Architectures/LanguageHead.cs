// Shapes: B batch, T positions, C model dimension, V vocabulary.
using TorchSharp;
using TorchSharp.Modules;
using Trainer.Kernels;
using Trainer.Models.Precision;
using static TorchSharp.torch;

namespace Trainer.Models;

/// <summary>Turns hidden states into logits of tokens: with a matrix of its own, or with the embedding's.</summary>
internal sealed class LanguageHead : nn.Module, IRoundsWeights
{
    // Tokens from which on the loss holds the logits of few places at a time, on the CPU: with few logits to a place there is nothing to gain.
    private const int FewestPassing = 256;

    private readonly HeadTransform? transform;
    private readonly Parameter? weight;
    private readonly Parameter? bias;
    private readonly ModelOptions options;
    private readonly ComputeWeight rounded;
    private readonly ScalarType computeType;

    /// <param name="options">The model.</param>
    /// <param name="vocabularySize">Number of token ids, V.</param>
    /// <param name="computeType">Type of the product.</param>
    public LanguageHead(ModelOptions options, int vocabularySize, ScalarType computeType)
        : base(nameof(LanguageHead))
    {
        (this.options, this.computeType) = (options, computeType);
        rounded = new(computeType);
        transform = options is EncoderOptions { HeadTransform: true } ? new HeadTransform(options, computeType) : null;
        weight = options.TieEmbeddings ? null : new Parameter(empty(vocabularySize, options.Dim));
        bias = options.HeadBias ? new Parameter(zeros(vocabularySize)) : null;
        RegisterComponents();
    }

    /// <inheritdoc/>
    public void RoundWeights()
    {
        if (weight is not null) InferenceWeight.Replace(weight, computeType);
    }

    /// <summary>Logits, float32.</summary>
    /// <param name="hidden">(…, C)</param>
    /// <param name="embedding">The token embedding (V, C), or its blocks, which a tied head uses.</param>
    /// <returns>(…, V)</returns>
    public Tensor Logits(Tensor hidden, Tensor embedding)
    {
        if (transform is not null) hidden = transform.forward(hidden);
        Tensor logits = CastLinear.Apply(hidden, new(weight ?? embedding, CastLinear.Multiplied(weight ?? embedding, rounded), bias), computeType).to_type(ScalarType.Float32);
        if (options.LogitScale != 1) logits = logits.mul(options.LogitScale);
        return options.LogitSoftCap is { } cap ? logits.div(cap).tanh().mul(cap) : logits;
    }

    /// <summary>The summed cross entropy of the logits; on the CPU, if they are many, without ever holding all of them.</summary>
    /// <param name="hidden">(…, C)</param>
    /// <param name="embedding">As in <see cref="Logits"/>.</param>
    /// <param name="targets">(N), int64, a token for each position or −100.</param>
    /// <param name="labelSmoothing">The share of each target's probability that is spread over all tokens.</param>
    /// <returns>Zero dimensions, float32, in nats.</returns>
    public Tensor LossSum(Tensor hidden, Tensor embedding, Tensor targets, double labelSmoothing)
    {
        bool rounds = computeType == ScalarType.BFloat16;
        if (hidden.device_type != DeviceType.CPU || embedding.size(0) < FewestPassing || !(rounds || computeType == ScalarType.Float32))
            return nn.functional.cross_entropy(Logits(hidden, embedding).flatten(0, -2), targets, ignore_index: -100, reduction: nn.Reduction.Sum, label_smoothing: labelSmoothing);
        Tensor table = weight ?? embedding, rows = (transform?.forward(hidden) ?? hidden).reshape(-1, options.Dim); // (N, C)
        CrossEntropyShape shape = new() { LogitScale = options.LogitScale, LogitSoftCap = options.LogitSoftCap, LabelSmoothing = labelSmoothing };
        return CrossEntropy.Sum(rows, table, bias, targets, shape, rounds ? rounded.Of(table) : null);
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing) rounded.Dispose();
        base.Dispose(disposing);
    }
}

/// <summary>norm(GELU(linear(x))), before the matrix of tokens (BERT).</summary>
internal sealed class HeadTransform : nn.Module<Tensor, Tensor>
{
    private readonly CastLinear dense;
    private readonly nn.Module<Tensor, Tensor> norm;

    public HeadTransform(ModelOptions options, ScalarType computeType)
        : base(nameof(HeadTransform))
    {
        dense = new(options.Dim, options.Dim, options.Bias, computeType);
        norm = options.Norm.Build(options.Dim, options.Bias);
        RegisterComponents();
    }

    public override Tensor forward(Tensor hidden) => norm.call(Activations.Gelu(dense.forward(hidden))); // (…, C)
}
