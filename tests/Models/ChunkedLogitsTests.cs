using TorchSharp;
using Trainer.Kernels;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Models.Tests;

/// <summary>Logits of a few tokens at a time, against all at once.</summary>
public sealed class ChunkedLogitsTests
{
    [Fact]
    public void Parts_and_gradients_are_those_of_all_logits_at_once()
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Models.Build(Models.Gpt);
        long rows = 5 * CrossEntropy.RowsOfLogits(long.MaxValue, model.VocabularySize) / 2;
        Tensor hidden = randn([rows, Models.Gpt.Dim], generator: new Generator(1)).requires_grad_();
        Tensor weights = rand([rows], generator: new Generator(2));
        Tensor[] parameters = [hidden, .. model.HeadParameters];

        IReadOnlyList<Tensor> parts = ChunkedLogits.Map(model, hidden, [weights], (logits, own) => logits.logsumexp(-1).mul(own[0]));
        Tensor chunked = cat([.. parts]), whole = model.LogitsOf(hidden).logsumexp(-1).mul(weights);

        Assert.Equal(3, parts.Count);
        TensorAssert.Close(whole, chunked, 1e-5, "values");
        TensorAssert.CloseToScale(autograd.grad([whole.sum()], parameters), autograd.grad([chunked.sum()], parameters), 1e-5);
    }

    [Fact]
    public void Nothing_is_recorded_without_gradients_and_no_rows_have_no_parts()
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Models.Build(Models.Gpt);
        Tensor hidden = randn([6, Models.Gpt.Dim]);
        using IDisposable quiet = no_grad();
        Assert.All(ChunkedLogits.Map(model, hidden, [], (logits, _) => logits.sum()), part => Assert.False(part.requires_grad));
        Assert.Empty(ChunkedLogits.Map(model, hidden.narrow(0, 0, 0), [], (logits, _) => logits.sum()));
    }
}
