using TorchSharp;
using Trainer.Transformers.Attention.Kernels;
using static TorchSharp.torch;

namespace Trainer.Transformers.Tests;

/// <summary>Documents packed into one row must not know of each other.</summary>
public class PackedDocumentsTests
{
    private static readonly long[] Ids = [0, 0, 0, 1, 1, 1, 1, 2], Places = [0, 1, 2, 0, 1, 2, 3, 0];

    [Theory]
    [MemberData(nameof(Models.Variants), MemberType = typeof(Models))]
    public void Changing_one_document_leaves_the_logits_of_the_others_bit_equal(string projection, string position)
    {
        foreach (AttentionKernel kernel in Models.Kernels(position))
        {
            using DisposeScope scope = NewDisposeScope();
            using LanguageModel model = Models.Build(Models.Variant(projection, position, kernel));
            Tensor tokens = Models.Tokens(2, 8), changed = tokens.clone();
            changed.narrow(1, 0, 3).copy_(tokens.narrow(1, 0, 3).add(1).remainder(Models.Vocabulary));
            Tensor before = model.forward(Packed(tokens)), after = model.forward(Packed(changed));
            Assert.True(before.narrow(1, 3, 5).Equals(after.narrow(1, 3, 5)), $"{kernel}");
            Assert.False(before.narrow(1, 0, 3).Equals(after.narrow(1, 0, 3)));
        }
    }

    [Theory]
    [MemberData(nameof(Models.Variants), MemberType = typeof(Models))]
    public void A_packed_document_has_the_logits_it_has_alone(string projection, string position)
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Models.Build(Models.Variant(projection, position));
        Tensor tokens = Models.Tokens(2, 8);
        Tensor packed = model.forward(Packed(tokens)).narrow(1, 3, 4), alone = model.forward(tokens.narrow(1, 3, 4));
        Assert.InRange(Models.LargestDifference(alone, packed), 0, 2e-5);
    }

    [Fact]
    public void Positions_alone_do_not_keep_documents_apart()
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Models.Build(Models.Llama);
        Tensor tokens = Models.Tokens(1, 8), changed = tokens.clone();
        changed.narrow(1, 0, 1).copy_(tokens.narrow(1, 0, 1).add(1).remainder(Models.Vocabulary));
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
        Assert.Equal(0, embedding.select(0, 1).abs().max().item<float>());
        Assert.NotEqual(0, embedding.abs().max().item<float>());
    }

    private static ModelInput Packed(Tensor tokens) => new(tokens)
    {
        Documents = tensor(Ids).unsqueeze(0).expand(tokens.size(0), -1).contiguous(),
        Positions = tensor(Places).unsqueeze(0).expand(tokens.size(0), -1).contiguous(),
    };
}
