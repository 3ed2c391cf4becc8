using TorchSharp;
using TorchSharp.Modules;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Models.Tests.Attention;

public class GroupedQueryAttentionTests
{
    private const int Heads = 4, HeadDim = 4;

    [Theory]
    [InlineData("grouped-query", 2)]
    [InlineData("multi-query", 1)]
    public void Shared_heads_equal_multi_head_with_the_heads_repeated(string projection, int groups)
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel shared = Models.Build(Models.Variant(projection, "rotary"));
        using LanguageModel full = Models.Build(Models.Variant("multi-head", "rotary"));
        Copy(shared, full, groups);
        Tensor tokens = Models.Tokens(2, 8);
        TensorAssert.Close(shared.forward(tokens), full.forward(tokens), 1e-5);
    }

    private static void Copy(LanguageModel from, LanguageModel to, int groups)
    {
        using var gradients = no_grad();
        foreach (var (source, target) in from.named_parameters().Zip(to.named_parameters()))
        {
            Assert.Equal(source.name, target.name);
            target.parameter.copy_(source.name.EndsWith("qkv.weight") ? Repeated(source.parameter, groups) : source.parameter);
        }
    }

    // The documented layout of the rows: [query heads | key heads | value heads].
    private static Tensor Repeated(Parameter weight, int groups)
    {
        Tensor[] parts = weight.split([Heads * HeadDim, groups * HeadDim, groups * HeadDim], 0);
        return cat([parts[0], Repeat(parts[1]), Repeat(parts[2])], 0);

        Tensor Repeat(Tensor rows) => rows.view(groups, HeadDim, -1).repeat_interleave(Heads / groups, 0).reshape(Heads * HeadDim, -1);
    }
}
