using TorchSharp;
using TorchSharp.Modules;
using Trainer.Data.Batches;
using Trainer.Data.Numbers;
using Trainer.Data.Preparation;
using Trainer.Kernels;
using Trainer.Models;
using Trainer.Models.Devices;
using Trainer.Models.Patches;
using Trainer.Reporting.Monitoring;
using Trainer.Training.Plan;

namespace Trainer.Training;

internal static class RunDescription
{
    public static IEnumerable<string> Of(TrainState state, TrainingData data, ValidationSet validation, Recipe recipe, ResumePoint? from)
    {
        SequenceModel model = state.Model;
        (ScheduleOptions schedule, long steps) = (recipe.Schedule, recipe.Training.Steps);
        long all = model.parameters().Sum(Numbers), trained = model.parameters().Where(p => p.requires_grad).Sum(p => p.numel());
        long active = all - ModelCost.Of(model.Options, model.Outputs).IdleParameters;
        yield return $"model: {all:N0} parameters{(active < all ? $" of which a token uses {active:N0}" : "")}, " +
            $"{Outputs(model)}, {state.Device}, {model.ComputeType}";
        if (state.Base is { } original)
            yield return $"adapter: {trained:N0} of the parameters are trained, on {original.Base} (SHA-256 {original.Sha256[..12]}…)";
        if (state.Teacher is { } teacher) yield return teacher.Description;
        if (state.Reference is { } reference) yield return reference.Description;
        if (state.SourceDescription is { } source) yield return source;
        yield return Engine;
        if (state.Device.type == DeviceType.CUDA)
            foreach (string line in Gpu(CudaDevice.Of(state.Device.index), recipe.Training)) yield return line;
        foreach (var kernel in model.Kernels().GroupBy(report => (report.Kernel, report.Backend)))
            yield return $"attention: {kernel.Key.Kernel}{(kernel.Key.Backend is { } backend ? $" ({backend})" : "")} in " +
                $"{kernel.Count()} layers";
        foreach (string line in Sharing(state)) yield return line;
        foreach (string group in state.Optimizer.Description) yield return group;
        yield return Describe(data, validation);
        if (recipe.Training.Stages is { Count: > 0 })
            yield return $"stages: {string.Join(", then ", TrainingStages.Of(recipe.Training))}";
        if (schedule.WarmupSteps > steps)
            yield return $"schedule: the warm-up of {schedule.WarmupSteps:N0} steps is longer than the run of {steps:N0}, so the " +
                "learning rate never reaches its peak";
        if (from is not null)
            yield return $"restored {from.Directory}: {from.State.Position} of the training data";
    }

    /// <summary>What a run of a model counts.</summary>
    public static CountedUnit Unit(ModelOptions model) => model.PatchInput() switch
    {
        null => CountedUnit.Tokens,
        ImagePatchOptions => CountedUnit.Pictures,
        _ => CountedUnit.Values,
    };

    // Blocks of 8 bits hold scales, too.
    private static long Numbers(Parameter parameter) => parameter.dtype == torch.ScalarType.Int8
        ? parameter.numel() / BlockQuantization.BlockBytes * BlockQuantization.BlockLength
        : parameter.numel();

    private static string Outputs(SequenceModel model) => model.Options.PatchInput() switch
    {
        null => $"{model.Outputs:N0} tokens in the vocabulary",
        ImagePatchOptions => $"{model.Outputs:N0} classes",
        _ => $"{model.Outputs:N0} values to forecast",
    };

    private static string Describe(TrainingData data, ValidationSet validation) => data switch
    {
        PreparedData text => $"data: {text.Train.Length:N0} training tokens, {text.Validation.Length:N0} validation tokens of which " +
            $"{validation.TargetTokens:N0} are scored",
        NumberData { Preprocessor: ImagePreprocessor images } pictures => $"data: {pictures.Train.Count:N0} training pictures, " +
            $"{pictures.Validation.Count:N0} validation pictures of which {validation.TargetTokens:N0} are scored; classes " +
            string.Join(", ", images.Classes),
        NumberData windows => $"data: {windows.Train.Count:N0} training windows, {windows.Validation.Count:N0} validation windows, of " +
            $"which {validation.TargetTokens:N0} values are scored; variables " +
            string.Join(", ", ((SeriesPreprocessor)windows.Preprocessor).Variables),
        _ => "",
    };

    /// <summary>The libraries, processor and threads that steps are computed with, which their bits depend on.</summary>
    public static string Engine => $"engine: libtorch {LibTorchLoader.Version} in {LibTorchLoader.Folder}, {LibTorch.CpuCapability}, " +
        $"{torch.get_num_threads()} of {Environment.ProcessorCount} processors";

    /// <summary>How the work of a step is shared out, which its bits depend on too.</summary>
    public static IEnumerable<string> Sharing(TrainState state)
    {
        if (state.Processes.Size > 1) yield return $"processes: {state.Processes.Description}";
        yield return $"computing: {state.Sharing}";
    }

    internal static IEnumerable<string> Gpu(CudaDevice gpu, TrainingOptions options)
    {
        yield return $"device: {MachineReport.Describe(gpu)}";
        if (options.Precision == Precision.BFloat16 && !gpu.HasBFloat16)
            yield return $"device: {gpu.Name} has no bfloat16 units (compute capability {gpu.Capability}, 8.0 has): float32 is faster " +
                "there, and has a fused attention kernel";
        else if (options.Precision == Precision.Float32 && gpu.HasBFloat16)
            yield return "device: its matrix units stand idle under training.precision float32; tf32 keeps 10 bits of each factor, " +
                "bfloat16 is faster still and runs flash attention";
    }
}
