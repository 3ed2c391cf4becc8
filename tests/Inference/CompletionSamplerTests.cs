using TorchSharp;
using Trainer.Models;
using Trainer.Models.Attention;
using Trainer.Models.Attention.Kernels;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Inference.Tests;

public sealed class CompletionSamplerTests
{
    private const int Vocabulary = 12, End = 3, Length = 5;

    private static readonly int[][] Prompts = [[1, 2], [7], [4, 5, 6, 7, 8], [9, 9]];

    [Theory]
    [InlineData(AttentionKernel.Auto)]
    [InlineData(AttentionKernel.Reference)] // which the decoder for CPUs does not take
    public void Completions_are_drawn_from_the_models_logits_each_with_its_own_seed(AttentionKernel kernel)
    {
        using LanguageModel model = Build(kernel);
        Assert.Equal(kernel == AttentionKernel.Auto, CpuDecoder.Supports(model));
        SamplingOptions options = new() { Temperature = 3 };

        IReadOnlyList<IReadOnlyList<int[]>> all = new CompletionSampler(model, CPU, Vocabulary, End).Sample(Requests(11), options, Length);

        for (int prompt = 0; prompt < Prompts.Length; prompt++)
            for (int sample = 0; sample < 11; sample++)
                Assert.Equal(OneByOne(model, Prompts[prompt], options with { Seed = 100 * prompt + sample }), all[prompt][sample]);
        Assert.Contains(all.SelectMany(each => each), tokens => tokens[^1] == End);
        Assert.Contains(all.SelectMany(each => each), tokens => tokens[^1] != End && tokens.Length == Length);
        Assert.True(all[0].Select(tokens => string.Join(' ', tokens)).Distinct().Count() > 5);
    }

    [Fact]
    public void A_completion_does_not_depend_on_those_beside_it()
    {
        using LanguageModel model = Build(AttentionKernel.Auto);
        CompletionSampler sampler = new(model, CPU, Vocabulary, End);
        SamplingOptions options = new() { Temperature = 3 };
        IReadOnlyList<IReadOnlyList<int[]>> all = sampler.Sample(Requests(3), options, Length);
        for (int prompt = 0; prompt < Prompts.Length; prompt++)
            Assert.Equal(all[prompt][1], sampler.Sample([new(Prompts[prompt], [100 * prompt + 1])], options, Length)[0][0]);
    }

    [Fact]
    public void The_weights_of_the_moment_are_used_and_nothing_is_left_behind()
    {
        using LanguageModel model = Build(AttentionKernel.Auto);
        CompletionSampler sampler = new(model, CPU, Vocabulary, End);
        SamplingOptions greedy = new() { Greedy = true };
        string Greedy() => string.Join(';', sampler.Sample(Requests(1), greedy, Length).Select(each => string.Join(' ', each[0])));
        string before = Greedy();
        Finalizers.Run();
        long live = LiveTensors.Count();
        Assert.Equal(before, Greedy());
        using (DisposeScope scope = NewDisposeScope())
        using (no_grad())
            foreach (var parameter in model.parameters()) parameter.add_(randn_like(parameter));
        Assert.NotEqual(before, Greedy());
        Finalizers.Run();
        Assert.InRange(LiveTensors.Count(), 0, live);
    }

    [Fact]
    public void A_completion_ends_where_the_context_is_full()
    {
        using LanguageModel model = Build(AttentionKernel.Auto);
        int[] prompt = [.. Enumerable.Repeat(1, TinyModel.Context - 1)];
        int[] tokens = new CompletionSampler(model, CPU, Vocabulary, end: -1).Sample([new(prompt, [1])], new(), length: 50)[0][0];
        Assert.Equal(2, tokens.Length); // the last takes no place
    }

    private static CompletionRequest[] Requests(int samples) => [.. Prompts.Select(
        (prompt, index) => new CompletionRequest(prompt, [.. Enumerable.Range(0, samples).Select(sample => 100L * index + sample)]))];

    // Through the model's logits of the whole text.
    private static int[] OneByOne(LanguageModel model, int[] prompt, SamplingOptions options)
    {
        TokenSampler sampler = new(options);
        List<int> text = [.. prompt];
        using IDisposable quiet = no_grad();
        model.eval();
        while (text.Count < prompt.Length + Length && (text.Count == prompt.Length || text[^1] != End))
        {
            using DisposeScope scope = NewDisposeScope();
            Tensor logits = model.forward(tensor([.. text.Select(id => (long)id)], [1, text.Count])).select(1, text.Count - 1);
            text.Add(sampler.Sample(logits.contiguous().data<float>().ToArray().AsSpan(0, Vocabulary)));
        }
        return [.. text.Skip(prompt.Length)];
    }

    // With rows of padding in its vocabulary.
    private static LanguageModel Build(AttentionKernel kernel)
    {
        manual_seed(5);
        LanguageModel model = new DecoderOptions
        {
            Dim = 16, Layers = 2, ContextLength = TinyModel.Context,
            Attention = new MultiHeadOptions { Heads = 2, Kernel = kernel },
        }.Build(Vocabulary + 4);
        using IDisposable quiet = no_grad();
        foreach (var parameter in model.parameters().Where(p => p.dim() >= 2)) parameter.mul_(10);
        return model;
    }
}
