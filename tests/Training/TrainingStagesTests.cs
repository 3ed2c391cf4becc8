using Trainer.Data;
using Trainer.Data.Batches;
using Trainer.Inference;
using Trainer.Models;
using Trainer.Models.Attention;
using Trainer.Models.Attention.Patterns;
using Trainer.Training.Plan;

namespace Trainer.Training.Tests;

public sealed class TrainingStagesTests : IDisposable
{
    private static readonly TrainingStageOptions[] Stages =
        [new() { Until = 3, BatchSize = 8, SequenceLength = 4 }, new() { Until = 7, SequenceLength = 8 }];

    private readonly TinyRun tiny = new();

    public TrainingStagesTests() => tiny.Recipe = tiny.Recipe with { Training = tiny.Recipe.Training with { Stages = Stages } };

    [Fact]
    public void Steps_are_made_of_what_their_stage_says_and_no_text_is_left_out()
    {
        using BatchLoader whole = Loader(), cut = Loader();
        for (int step = 0; step < 9; step++)
        {
            StepBatch batch = StepBatch.Next(cut, tiny.Recipe.Training, step);

            (int batches, int rows, int columns) = step < 3 ? (1, 32, 4) : step < 7 ? (2, 16, 8) : (2, 8, 16);
            Assert.Equal(Enumerable.Repeat((rows, columns), batches), batch.MicroBatches.Select(each => (each.Rows, each.Columns)));
            foreach (Batch each in batch.MicroBatches)
            {
                Batch expected = whole.Next();
                Assert.Equal(expected.Inputs, each.Inputs);
                Assert.Equal(expected.Targets, each.Targets);
            }
        }
    }

    [Fact]
    public void Pieces_of_a_sequence_do_not_see_each_other()
    {
        using TrainState state = tiny.NewState();
        using BatchLoader loader = Loader();
        Batch cut = loader.Next().Cut(4);
        Batch alone = cut.Part(1, cut.Rows);
        using var scope = TorchSharp.torch.NewDisposeScope();
        state.Model.eval();

        var (all, _) = cut.ToTensors(TorchSharp.torch.CPU);
        var (one, _) = alone.ToTensors(TorchSharp.torch.CPU);

        Trainer.Tests.TensorAssert.Close(state.Model.forward(one)[0], state.Model.forward(all)[1], 1e-5);
    }

    [Fact]
    public void A_run_counts_its_tokens_resumes_in_a_stage_and_plan_agrees()
    {
        tiny.Train("whole");
        using StopSignal stop = new();
        RecordingSink sink = new() { OnStep = metrics => { if (metrics.Step == 5) stop.Request(); } };
        tiny.Train("stopped", sink: sink, stop: stop);
        TrainingResult result = tiny.Train("stopped", resume: true);

        Assert.Equal((3 * 8 + 9 * 16) * TinyRun.Context, result.Tokens);
        foreach (string file in (string[])["model.safetensors", "optimizer.safetensors"])
            Assert.Equal(
                File.ReadAllBytes(Path.Combine(tiny.Store("whole").DirectoryOf(12), file)),
                File.ReadAllBytes(Path.Combine(tiny.Store("stopped").DirectoryOf(12), file)));
        RunPlan plan = RunPlan.Of(tiny.Recipe, Path.Combine(tiny.Root, "datasets"));
        Assert.Equal(result.Tokens, plan.Tokens);
        Assert.True(plan.TotalFlops < plan.TrainingFlopsPerToken * plan.Tokens);
    }

    [Fact]
    public void Batches_that_micro_batches_do_not_fill_and_stages_out_of_order_are_refused()
    {
        TrainingOptions training = tiny.Recipe.Training with
        {
            Stages = [new() { Until = 5, BatchSize = 12 }, new() { Until = 5, BatchSize = 8 }, new() { Until = 6 }],
        };
        tiny.Recipe = tiny.Recipe with { Training = training };

        string message = tiny.ConfigurationError();

        Assert.Contains("training.stages.0.batchSize: batchSize (12) must be a multiple of training.microBatchSize (8); set microBatchSize " +
            "to 4", message);
        Assert.Contains("training.stages.1.until: until (5) must be more than that of the stage before (5)", message);
        Assert.Contains("training.stages.2: changes nothing; give batchSize", message);
    }

    [Fact]
    public void Lengths_that_do_not_divide_the_context_are_refused_with_one_that_does()
    {
        tiny.Recipe = tiny.Recipe with { Training = tiny.Recipe.Training with { Stages = [new() { Until = 5, SequenceLength = 6 }] } };
        Assert.Contains("sequenceLength (6) must divide model.contextLength (16); try 4", tiny.ConfigurationError());
    }

    [Fact]
    public void Rows_that_cannot_be_cut_are_refused()
    {
        Recipe recipe = tiny.Recipe;
        tiny.Recipe = recipe with { Data = recipe.Data with { Packing = DataPacking.Documents } };
        Assert.Contains("training.stages.0.sequenceLength: cuts windows of consecutive tokens", tiny.ConfigurationError());
        tiny.Recipe = recipe with
        {
            Model = (DecoderOptions)recipe.Model with
            {
                Attention = new MultiHeadOptions { Heads = 2, Pattern = new PrefixOptions { PrefixLength = 3 } },
            },
        };
        Assert.Contains("only the first piece would have the prefix", tiny.ConfigurationError());
    }

    public void Dispose() => tiny.Dispose();

    private BatchLoader Loader() =>
        new(BatchStream.Create(tiny.Data, tiny.Recipe.Data, TinyRun.Context, tiny.Recipe.Seed), tiny.Recipe.Training.MicroBatch);
}
