using TorchSharp;
using Trainer.Models.Attention;
using Trainer.Models.Attention.Kernels;
using Trainer.Models.Attention.Patterns;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Models.Tests;

/// <summary>Documents packed into one row must not know of each other.</summary>
public class PackedDocumentsTests
{
    private static readonly long[] Ids = [0, 0, 0, 1, 1, 1, 1, 2], Places = [0, 1, 2, 0, 1, 2, 3, 0];

    [Theory]
    [MemberData(nameof(Models.KernelVariants), MemberType = typeof(Models))]
    public void Changing_one_document_leaves_the_logits_of_the_others_as_they_are(
        string projection, string position, AttentionKernel kernel)
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Models.Build(Models.Variant(projection, position, kernel));
        Tensor tokens = Models.Tokens(2, 8), changed = Models.Changed(tokens, 0, 3);
        Tensor before = model.forward(Packed(tokens)), after = model.forward(Packed(changed));
        TensorAssert.Same(before.narrow(1, 3, 5), after.narrow(1, 3, 5));
        Assert.False(before.narrow(1, 0, 3).Equals(after.narrow(1, 0, 3)));
    }

    [Theory]
    [MemberData(nameof(Models.Variants), MemberType = typeof(Models))]
    public void A_packed_document_has_the_logits_it_has_alone(string projection, string position)
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Models.Build(Models.Variant(projection, position));
        Tensor tokens = Models.Tokens(2, 8);
        Tensor packed = model.forward(Packed(tokens)).narrow(1, 3, 4), alone = model.forward(tokens.narrow(1, 3, 4));
        TensorAssert.Close(alone, packed, 2e-5);
    }

    /// <summary>Documents in one piece and in two, under patterns and projections that the kernel for documents takes as they are or
    /// split.</summary>
    public static MatrixTheoryData<string, bool> Long() => new(["causal", "window", "normed", "encoder"], [false, true]);

    // Wide and long enough for every kernel.
    [Theory]
    [MemberData(nameof(Long))]
    public void Whatever_kernel_computes_them_documents_have_the_same_loss_and_gradients_and_drop_the_same(string kind, bool pieces)
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel reference = Models.Build(Wide(kind, AttentionKernel.Reference));
        using LanguageModel model = Models.Build(Wide(kind, AttentionKernel.Auto));
        Tensor tokens = Models.Tokens(2, 150), targets = Models.Tokens(2, 150, seed: 5);
        long[] ids = [.. Enumerable.Range(0, 150).Select(
            place => place < 40 ? 7L : place < 41 ? 2L : place < 105 ? 3L : pieces ? 7L : -1L)];
        ModelInput input = new(tokens) { Documents = stack([tensor(ids), zeros(150, dtype: ScalarType.Int64)]), Dropping = new(11, 0) };
        TensorAssert.CloseToScale(reference.forward(input), model.forward(input), 1e-5, floor: 0);
        Models.HaveCloseGradients(reference, model, input, targets);

        static ModelOptions Wide(string kind, AttentionKernel kernel)
        {
            GroupedQueryOptions attention = new()
            {
                Heads = 2,
                KeyValueHeads = 1,
                Kernel = kernel,
                QueryKeyNorm = kind == "normed",
                Pattern = kind == "window" ? new SlidingOptions { Window = 20 } : null,
            };
            return kind == "encoder"
                ? new EncoderOptions { Dim = 64, Layers = 2, ContextLength = 150, Dropout = 0.2, Attention = attention }
                : new DecoderOptions { Dim = 64, Layers = 2, ContextLength = 150, Dropout = 0.2, Attention = attention };
        }
    }

    [Fact]
    public void Where_documents_are_in_one_piece_their_bounds_are_known()
    {
        using DisposeScope scope = NewDisposeScope();
        using DocumentIds whole = Ids([5, 5, 2, -1, -1]), pieces = Ids([5, 2, 5, -1, -1]);
        Assert.Equal([0, 2, 0, 2, 2, 3, 3, 5, 3, 5], whole.Spans(5)!.data<int>().ToArray());
        Assert.Same(whole.Spans(5), whole.Spans(5));
        Assert.Null(pieces.Spans(5));
        Assert.Null(whole.Spans(3));

        // Of keys alone, what is not padding: for as many queries as there are.
        using DocumentIds padded = new(null, Row([0, 0, 0, -1])), gaps = new(null, Row([0, -1, 0, -1]));
        Assert.Equal([0, 3, 0, 3], padded.Spans(2)!.data<int>().ToArray());
        Assert.Null(gaps.Spans(2));

        static DocumentIds Ids(long[] ids)
        {
            Tensor row = Row(ids);
            return new(row, row);
        }

        static Tensor Row(long[] ids) => Constants.Own(() => tensor(ids).unsqueeze(0));
    }

    [Fact]
    public void Positions_alone_do_not_keep_documents_apart()
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Models.Build(Models.Llama);
        Tensor tokens = Models.Tokens(1, 8), changed = Models.Changed(tokens, 0);
        ModelInput Input(Tensor of) => Packed(of) with { Documents = null };
        Assert.False(model.forward(Input(tokens)).narrow(1, 3, 5).Equals(model.forward(Input(changed)).narrow(1, 3, 5)));
    }

    [Fact]
    public void Gradients_of_a_document_are_not_touched_by_another()
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Models.Build(Models.Gpt with { TieEmbeddings = false });
        Tensor tokens = Models.Tokens(1, 8).remainder(Models.Vocabulary - 2).add(2);
        tokens.narrow(1, 0, 3).fill_(1); // a token that only the first document has
        Tensor targets = Models.Tokens(1, 8);
        targets.narrow(1, 0, 3).fill_(-100);
        model.LossSum(Packed(tokens), targets).backward();
        Tensor embedding = model.named_parameters().Single(entry => entry.name == "embedding.weight").parameter.grad!;
        TensorAssert.Zero(embedding.select(0, 1));
        TensorAssert.Apart(zeros_like(embedding), embedding, 0);
    }

    private static ModelInput Packed(Tensor tokens) => new(tokens)
    {
        Documents = tensor(Ids).unsqueeze(0).expand(tokens.size(0), -1).contiguous(),
        Positions = tensor(Places).unsqueeze(0).expand(tokens.size(0), -1).contiguous(),
    };
}
