// Shapes: B batch, T positions, C model dimension, V vocabulary.
using TorchSharp;
using TorchSharp.Modules;
using Trainer.Configuration;
using Trainer.Transformers.Attention;
using Trainer.Transformers.Positions;
using Trainer.Transformers.Precision;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Trainer.Transformers;

/// <summary>A decoder: embeddings, blocks, a norm and the head.</summary>
/// <remarks>The names of the fields are the names of the weights in a checkpoint.</remarks>
internal sealed class Decoder : LanguageModel
{
    private readonly Embedding embedding;
    private readonly PositionEncoding position;
    private readonly ModuleList<Block> blocks;
    private readonly nn.Module<Tensor, Tensor> norm;
    private readonly CastLinear? head;
    private readonly ModelParts parts;

    public Decoder(DecoderOptions options, int vocabularySize, ScalarType computeType)
        : base(nameof(Decoder), options, vocabularySize, computeType)
    {
        parts = new(options, computeType);
        embedding = Embedding(vocabularySize, options.Dim);
        position = options.Position.Build(options);
        blocks = new([.. Enumerable.Range(0, options.Layers).Select(layer => Block.Create(parts, options.Layer(layer)))]);
        norm = options.Norm.Build(options.Dim, options.Bias);
        // The head never has a bias: a tied one cannot, and none of the families we follow gives an untied one any.
        head = options.TieEmbeddings ? null : new CastLinear(options.Dim, vocabularySize, bias: false, computeType);
        RegisterComponents();
    }

    public override Tensor forward(Tensor tokens)
    {
        using DisposeScope scope = NewDisposeScope();
        return Logits(Hidden(tokens, null)).MoveToOuterDisposeScope();
    }

    public override Tensor forward(Tensor tokens, DecodingState state)
    {
        using var gradients = no_grad();
        using DisposeScope scope = NewDisposeScope();
        return Logits(Step(tokens, state)).MoveToOuterDisposeScope();
    }

    public override Tensor NextLogits(Tensor tokens, DecodingState state)
    {
        using var gradients = no_grad();
        using DisposeScope scope = NewDisposeScope();
        Tensor last = Step(tokens, state).select(1, tokens.shape[1] - 1); // (B, T, C) → (B, C)
        return Logits(last).MoveToOuterDisposeScope(); // (B, V)
    }

    public override Tensor LossSum(Tensor tokens, Tensor targets, double labelSmoothing = 0)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor logits = Logits(Hidden(tokens, null)).view(-1, VocabularySize); // (B·T, V)
        Tensor loss = functional.cross_entropy(logits, targets.reshape(-1), ignore_index: -100, reduction: Reduction.Sum, label_smoothing: labelSmoothing);
        return loss.MoveToOuterDisposeScope();
    }

    public override DecodingState NewDecodingState(int batch, int capacity)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(batch, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(capacity, 1);
        RequirePositions(capacity);
        return new(batch, capacity, blocks.Select(block => block.Mixer.NewState(batch, capacity, Device)));
    }

    public override IReadOnlyList<KernelReport> Kernels(int? length = null) =>
        [.. blocks.Select((block, layer) => (Attention: block.Mixer as SelfAttention, layer))
            .Where(entry => entry.Attention is not null)
            .Select(entry =>
            {
                var (kernel, backend) = entry.Attention!.Resolve(length ?? ContextLength, Device);
                return new KernelReport(entry.layer, kernel, backend);
            })];

    protected override void Dispose(bool disposing)
    {
        if (disposing) parts.Dispose();
        base.Dispose(disposing);
    }

    private Device Device => embedding.weight!.device;

    private Tensor Step(Tensor tokens, DecodingState state)
    {
        state.Require(tokens.shape[0], tokens.shape[1]);
        Tensor hidden = Hidden(tokens, state);
        state.Advance((int)tokens.shape[1]);
        return hidden;
    }

    private Tensor Hidden(Tensor tokens, DecodingState? state)
    {
        int offset = state?.Length ?? 0;
        RequirePositions(offset + tokens.shape[1]);
        Tensor x = position.Embed(embedding.call(tokens), offset); // (B, T) → (B, T, C)
        if (parts.Dropout > 0 && training) x = functional.dropout(x, parts.Dropout, training: true);
        for (int layer = 0; layer < blocks.Count; layer++)
            x = blocks[layer].Run(x, new(position, offset, state?.Layer(layer)));
        return norm.call(x);
    }

    private Tensor Logits(Tensor hidden) =>
        CastLinear.Apply(hidden, head?.Weight ?? embedding.weight!, null, ComputeType).to_type(ScalarType.Float32); // (…, C) → (…, V)

    private void RequirePositions(long positions)
    {
        if (positions > position.Limit)
            throw new UserException($"{positions} positions are more than the {position.Limit} this model has learned; use at most contextLength ({ContextLength}).");
    }
}
