using TorchSharp;
using Trainer.Checkpoints;
using Trainer.Data;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Training;

/// <summary>Everything that training changes: weights, optimizer, place in the data, random states, counts. It can take a step,
/// be captured, and be put back, exactly.</summary>
internal sealed class Trainee : IDisposable
{
    private readonly TrainingOptions options;
    private readonly StepComputation computation;
    private readonly StepFigures figures;
    private readonly BatchLoader loader;
    private readonly string dataFingerprint;

    /// <summary>Takes a model into training.</summary>
    /// <param name="model">On <paramref name="device"/>, with its first weights; owned from now on.</param>
    /// <param name="recipe">How to train.</param>
    /// <param name="data">What to train on; not disposed of here.</param>
    /// <param name="device">Where to compute.</param>
    public Trainee(LanguageModel model, Recipe recipe, PreparedData data, Device device)
    {
        (Model, Device, options, dataFingerprint) = (model, device, recipe.Training, data.Fingerprint);
        // First: data that does not fit the model must be found before anything is made that would have to be disposed.
        loader = new BatchLoader(BatchStream.Create(data, recipe.Data, model.ContextLength, recipe.Seed, model.PrefixLength), options.MicroBatch, recipe.Data.LoaderThreads);
        model.ActivationCheckpointing = options.ActivationCheckpointing;
        Optimizer = recipe.Optimizer.Build([.. model.named_parameters().Where(p => p.parameter.requires_grad)]);
        computation = StepComputation.Create(model, device, options);
        figures = new StepFigures(device);
    }

    public LanguageModel Model { get; }

    public Device Device { get; }

    public Optimizer Optimizer { get; }

    /// <summary>How a step's work is shared, for the log.</summary>
    public string Sharing => computation.Description;

    /// <summary>Optimizer steps done.</summary>
    public long Step { get; private set; }

    /// <summary>Target tokens trained on.</summary>
    public long Tokens { get; private set; }

    /// <summary>The best evaluation so far.</summary>
    public (double Loss, long Step)? Best { get; set; }

    /// <summary>The place in the data of the next step.</summary>
    public StreamPosition Position => loader.Position;

    /// <summary>Takes one optimizer step. A step whose loss or gradients are not finite counts, but changes nothing.</summary>
    /// <param name="learningRate">The learning rate of this step.</param>
    public void TakeStep(double learningRate)
    {
        using DisposeScope scope = NewDisposeScope();
        BatchWindow window = BatchWindow.Take(loader, options);
        (Tensor loss, Tensor norm) = computation.Differentiate(window);
        Tensor skip = figures.Observe(loss, norm);
        computation.Update(Optimizer, learningRate, norm, options.GradientClip, skip);
        Model.EndStep(skip);
        Step++;
        Tokens += window.TargetTokens;
    }

    /// <summary>What the last step measured; waits for the device.</summary>
    public StepFigures.Reading Read() => figures.Read();

    /// <summary>Where training stands, apart from weights and optimizer.</summary>
    public CheckpointState Capture()
    {
        StepFigures.Reading reading = Read();
        return new CheckpointState
        {
            Step = Step,
            Tokens = Tokens,
            Position = loader.Position,
            DataFingerprint = dataFingerprint,
            Random = RandomStates.Capture(Device),
            BestLoss = Best?.Loss,
            BestStep = Best?.Step,
            SkippedSteps = reading.Skipped,
            SkippedInARow = reading.InARow,
        };
    }

    /// <summary>Puts everything back to what a checkpoint of this model holds.</summary>
    /// <param name="directory">A whole checkpoint.</param>
    /// <param name="state">Its state.</param>
    public void Restore(string directory, CheckpointState state)
    {
        ModelWeights.Load(Model, Path.Combine(directory, CheckpointFiles.Model));
        Optimizer.Load(Path.Combine(directory, CheckpointFiles.Optimizer));
        (Step, Tokens) = (state.Step, state.Tokens);
        loader.Position = state.Position;
        Best = state.BestLoss is { } loss && state.BestStep is { } step ? (loss, step) : null;
        figures.Restore(state.SkippedSteps, state.SkippedInARow);
        state.Random.Restore(Device);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        loader.Dispose();
        computation.Dispose();
        figures.Dispose();
        Optimizer.Dispose();
        Model.Dispose();
    }
}
