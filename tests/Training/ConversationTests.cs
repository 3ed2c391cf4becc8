using System.Text.Json;
using TorchSharp;
using Trainer.Checkpoints;
using Trainer.Data;
using Trainer.Data.Batches;
using Trainer.Evaluation;
using Trainer.Kernels;
using Trainer.Models;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Training.Tests;

/// <summary>Learning conversations: what the loss counts, and what a checkpoint keeps.</summary>
public sealed class ConversationTests : IDisposable
{
    private const int Context = 64;

    private readonly TinyRun tiny = new(dropout: 0);

    public ConversationTests()
    {
        var path = Path.Combine(tiny.Root, "talks.jsonl");
        // Answers of very different lengths, so that micro-batches have different numbers of targets.
        File.WriteAllLines(path, Enumerable.Range(0, 60).Select(number => JsonSerializer.Serialize(new
        {
            instruction = $"q{number}",
            output = new string((char)('a' + number % 26), 1 + number % 7 * 5),
        })));
        tiny.Recipe = tiny.Recipe with
        {
            Model = (DecoderOptions)tiny.Recipe.Model with { ContextLength = Context },
            Data = new DataOptions { Train = [new SourceOptions { Path = path, Format = SourceFormat.Chat }] },
        };
    }

    public void Dispose() => tiny.Dispose();

    [Fact]
    public void The_loss_is_the_mean_over_learned_tokens_alone()
    {
        using LanguageModel model = tiny.Recipe.Model.Build(tiny.Data.Tokenizer.VocabularySize);
        Batch batch = Rows(1);
        // The row's conversations one by one, without the others: none sees another.
        (double sum, int count) = (0, 0);
        using DisposeScope scope = NewDisposeScope();
        using (no_grad())
            foreach (long document in batch.Documents!.Distinct().Where(document => document >= 0))
            {
                int[] places = [.. Enumerable.Range(0, Context).Where(place => batch.Documents![place] == document)];
                Tensor logits = model.forward(tensor([.. places.Select(place => batch.Inputs[place])], [1, places.Length]));
                Tensor logProbabilities = nn.functional.log_softmax(logits, -1)[0];
                foreach ((int index, int place) in places.Index())
                    if (batch.Targets[place] != Batch.Ignored)
                        (sum, count) = (sum - logProbabilities[index, batch.Targets[place]].ToDouble(), count + 1);
            }
        Assert.InRange(count, 1, Context / 2);
        Assert.Equal(count, batch.TargetTokens);
        Assert.Equal(sum / count, LossEvaluator.Evaluate(model, [batch], CPU).MeanLoss, 1e-5);
        Assert.Equal(sum / count, GradientComputation.Create(model, CPU, null).Compute(new StepBatch([batch])).Loss.ToDouble(), 1e-5);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void Micro_batches_give_the_gradients_of_the_whole_batch(int threads)
    {
        using LanguageModel model = tiny.Recipe.Model.Build(tiny.Data.Tokenizer.VocabularySize);
        Batch whole = Rows(8);
        Batch[] parts = [.. Enumerable.Range(0, 4).Select(index => whole.Part(index, 4)), Empty(whole.Part(0, 4))];
        Assert.True(parts.Select(part => part.TargetTokens).Distinct().Count() > 2, "micro-batches with different numbers of targets");
        using WorkerThreads? workers = threads > 1 ? new(threads) : null;
        GradientComputation gradients = GradientComputation.Create(model, CPU, workers);
        using DisposeScope scope = NewDisposeScope();
        double together = gradients.Compute(new StepBatch([whole])).Loss.ToDouble();
        float[] gradient = TinyRun.Gradient(model);
        Assert.Equal(together, gradients.Compute(new StepBatch(parts)).Loss.ToDouble(), 1e-5);
        TensorAssert.Equal(gradient, TinyRun.Gradient(model), 1e-5);
    }

    [Fact]
    public void A_resumed_run_has_the_bits_of_one_that_never_stopped()
    {
        tiny.Train("whole");
        tiny.Train("halves", until: 5);
        tiny.Train("halves", resume: true);
        string whole = tiny.Store("whole").DirectoryOf(12), halves = tiny.Store("halves").DirectoryOf(12);
        foreach (string file in new[] { CheckpointFiles.Model, CheckpointFiles.Optimizer, ChatTemplateFile.FileName })
            Assert.Equal(File.ReadAllBytes(Path.Combine(whole, file)), File.ReadAllBytes(Path.Combine(halves, file)));
        ChatTemplateFile template = ChatTemplateFile.In(whole)!;
        Assert.Equal((null, "<|im_end|>"), (template.BosToken, template.EosToken));
        Assert.DoesNotContain("generation %}", template.Template, StringComparison.Ordinal);
        Assert.Equal("<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n",
            ChatTemplateFile.Load(whole)!.Render([new("user", "q")], addGenerationPrompt: true));
    }

    private Batch Rows(int rows) => BatchStream.Create(tiny.Data, tiny.Recipe.Data, Context, seed: 1).Next(rows);

    private static Batch Empty(Batch batch) =>
        new(batch.Inputs, [.. batch.Targets.Select(_ => Batch.Ignored)], batch.Rows, batch.Columns)
        {
            Documents = batch.Documents,
            Positions = batch.Positions,
        };
}
