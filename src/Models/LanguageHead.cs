// Shapes: B batch, T positions, C model dimension, V vocabulary.
using TorchSharp;
using TorchSharp.Modules;
using Trainer.Kernels;
using static TorchSharp.torch;

namespace Trainer.Models;

/// <summary>Maps hidden states to logits, with a matrix of its own or the token embedding's.</summary>
internal sealed class LanguageHead : nn.Module, IMasterWeights
{
    // From this vocabulary on, the loss on the CPU computes logits a few tokens at a time; with a smaller one there is nothing to gain.
    private const int FewestPassing = 256;

    private readonly HeadTransform? transform;
    private readonly Parameter? weight;
    private readonly Parameter? bias;
    private readonly ModelOptions options;
    private readonly ComputeWeight computeWeight;
    private readonly ScalarType computeType;

    public LanguageHead(ModelOptions options, int vocabularySize, ScalarType computeType)
        : base(nameof(LanguageHead))
    {
        (this.options, this.computeType) = (options, computeType);
        computeWeight = new(computeType);
        transform = options is EncoderOptions { HeadTransform: true } ? new HeadTransform(options, computeType) : null;
        weight = options.TieEmbeddings ? null : new Parameter(empty(vocabularySize, options.Dim));
        bias = options.HeadBias ? new Parameter(zeros(vocabularySize)) : null;
        RegisterComponents();
    }

    public void DropMasterWeights()
    {
        if (weight is not null) InferenceWeight.Replace(weight, computeType);
    }

    /// <summary>(…, C) → (…, V), float32. A tied head uses the token embedding (V, C), or its blocks; no other needs it.</summary>
    public Tensor Logits(Tensor hidden, Tensor? embedding)
    {
        if (transform is not null) hidden = transform.forward(hidden);
        Tensor table = Table(embedding);
        LinearWeight operands = new(table, MixedLinear.Multiplied(table, computeWeight), bias);
        Tensor logits = MixedLinear.Apply(hidden, operands, computeType).to_type(ScalarType.Float32);
        if (options.LogitScale != 1) logits = logits.mul(options.LogitScale);
        return options.LogitSoftCap is { } cap ? logits.div(cap).tanh().mul(cap) : logits;
    }

    /// <summary>Summed cross entropy of (…, C), in nats, for targets (N), int64, −100 for none. The CPU never holds all logits.</summary>
    public Tensor LossSum(Tensor hidden, Tensor? embedding, Tensor targets, double labelSmoothing)
    {
        bool rounds = computeType == ScalarType.BFloat16;
        if (hidden.device_type != DeviceType.CPU || Table(embedding).size(0) < FewestPassing
            || !(rounds || computeType == ScalarType.Float32))
            return nn.functional.cross_entropy(
                Logits(hidden, embedding).flatten(0, -2), targets, ignore_index: -100, reduction: nn.Reduction.Sum,
                label_smoothing: labelSmoothing);
        Tensor table = Table(embedding), rows = (transform?.forward(hidden) ?? hidden).reshape(-1, options.Dim); // (N, C)
        CrossEntropyShape shape =
            new() { LogitScale = options.LogitScale, LogitSoftCap = options.LogitSoftCap, LabelSmoothing = labelSmoothing };
        return CrossEntropy.Sum(rows, table, bias, targets, shape, rounds ? computeWeight.Of(table) : null);
    }

    private Tensor Table(Tensor? embedding) => weight ?? embedding ?? throw new ArgumentNullException(nameof(embedding));

    protected override void Dispose(bool disposing)
    {
        if (disposing) computeWeight.Dispose();
        base.Dispose(disposing);
    }
}

/// <summary>norm(GELU(linear(x))), before the output matrix (BERT).</summary>
internal sealed class HeadTransform : nn.Module<Tensor, Tensor>
{
    private readonly MixedLinear dense;
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

internal sealed class TokenEmbedding : nn.Module, IMasterWeights, IEmbeds
{
    private readonly ModelOptions options;
    private readonly Parameter weight;
    private readonly ScalarType computeType;

    public TokenEmbedding(int vocabularySize, ModelOptions options, ScalarType computeType)
        : base(nameof(TokenEmbedding))
    {
        (this.options, this.computeType) = (options, computeType);
        weight = new Parameter(empty(vocabularySize, options.Dim));
        RegisterComponents();
    }

    public Parameter Weight => weight; // (V, C), float32; blocks of 8 bits in an int8 model

    public Tensor Rows(Tensor tokens) // (B, T) → (B, T, C), float32
    {
        Tensor rows = weight.dtype == ScalarType.Int8
            ? BlockQuantization.Unpack(weight.index_select(0, tokens.reshape(-1))).view(tokens.size(0), tokens.size(1), -1)
            : Functional.Embedding(tokens, weight, null);
        return options.ScaleEmbeddings ? rows.mul(Math.Sqrt(options.Dim)) : rows;
    }

    /// <summary>In bfloat16 it stays float32, as in training, so that evaluations agree with the run's own.</summary>
    public void DropMasterWeights()
    {
        if (computeType == ScalarType.Int8) InferenceWeight.Replace(weight, computeType);
    }
}
