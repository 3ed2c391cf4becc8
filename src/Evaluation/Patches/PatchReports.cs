using TorchSharp;
using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Data.Batches;
using Trainer.Data.Numbers;
using Trainer.Inference;
using Trainer.Models;
using Trainer.Models.Patches;
using static TorchSharp.torch;

namespace Trainer.Evaluation.Patches;

/// <summary>What a checkpoint of patches makes of its validation data, or of files.</summary>
public sealed class PatchReports(Checkpoint checkpoint, SequenceModel model, Device device)
{
    private readonly PatchOptions patches = checkpoint.Model.PatchInput()
        ?? throw new ArgumentException("The checkpoint reads tokens.", nameof(checkpoint));

    /// <summary>How often the classes of the recipe's validation pictures are told.</summary>
    /// <exception cref="UserException">The pictures are missing, or are not those the checkpoint was trained with.</exception>
    public ClassificationReport ClassifyValidation(string datasets, IProgress<string>? progress = null)
    {
        using NumberData data = Prepare(datasets, progress);
        return new ClassificationEvaluator(model, Images).Evaluate(data.Validation.Spread(checkpoint.RowsAtOnce, int.MaxValue), device);
    }

    /// <summary>The errors of forecasts over the recipe's validation data.</summary>
    /// <exception cref="UserException">The tables are missing, or are not those the checkpoint was trained with.</exception>
    public ForecastReport ForecastValidation(string datasets, int? season, IProgress<string>? progress = null)
    {
        using NumberData data = Prepare(datasets, progress);
        return new ForecastEvaluator(model).Evaluate(data.Validation.Spread(checkpoint.RowsAtOnce, int.MaxValue), device, season);
    }

    /// <summary>The classes of PNG files: one, a folder of them, or a folder for each class.</summary>
    /// <exception cref="UserException">There are none, or one is damaged or of another size.</exception>
    public IReadOnlyList<PicturePrediction> Classify(string path)
    {
        ImageShape shape = (ImageShape)patches.ToShape();
        ClassificationEvaluator evaluator = new(model, Images);
        return [.. PictureFile.Find(path, Images).Chunk(checkpoint.RowsAtOnce).SelectMany(files =>
            evaluator.Probabilities(PictureFile.Read(files, shape, Images), device).Zip(files, (row, file) => new PicturePrediction(
                file.Path, file.Class, [.. Images.Classes.Zip(row, (name, value) => new ClassProbability(name, value))
                    .OrderByDescending(entry => entry.Probability)])))];
    }

    /// <summary>The errors of forecasts within a table, null where it is too short for any; and a forecast of what follows it, by variable
    /// and in its unit.</summary>
    /// <exception cref="UserException">The table is damaged, or has other variables.</exception>
    public (ForecastReport? Errors, IReadOnlyList<VariableForecast> Following) Forecast(string path, int? season)
    {
        SeriesPreprocessor series = Series;
        SeriesWindows table = SeriesWindows.Read(path, (SeriesShape)patches.ToShape(), series);
        ValidationSet windows = table.Windows(checkpoint.RowsAtOnce);
        ForecastReport? errors = windows.Count == 0 ? null : new ForecastEvaluator(model).Evaluate(windows, device, season);
        using IDisposable inference = inference_mode();
        using DisposeScope scope = NewDisposeScope();
        (ModelInput input, _) = table.Last().ToTensors(device);
        float[][] rows = [.. model.call(input).cpu().data<float>().ToArray().Chunk(series.Horizon)];
        return (errors, [.. rows.Select((row, variable) => new VariableForecast(
            series.Variables[variable], [.. row.Select(value => table.InOwnUnit(variable, value))]))]);
    }

    private ImagePreprocessor Images => (ImagePreprocessor)checkpoint.Codec.Preprocessor!;

    private SeriesPreprocessor Series => (SeriesPreprocessor)checkpoint.Codec.Preprocessor!;

    private NumberData Prepare(string datasets, IProgress<string>? progress)
    {
        NumberData data = NumberPreparation.Prepare(checkpoint.Configuration.Data, patches.ToShape(), datasets, progress);
        if (ModelCodec.Of(data).Json == checkpoint.Codec.Json) return data;
        data.Dispose();
        throw new UserException($"{checkpoint.Directory}: the data of its recipe has changed since it was trained, so that it has other " +
            "classes, variables, means or deviations; name what to measure on with --data");
    }
}

/// <summary>The classes of a picture, most likely first; <c>Class</c> is the one its folder says, or null.</summary>
public sealed record PicturePrediction(string File, string? Class, IReadOnlyList<ClassProbability> Classes)
{
    /// <summary>The most likely class.</summary>
    public string Predicted => Classes[0].Name;
}

/// <summary>A class and its probability.</summary>
public sealed record ClassProbability(string Name, float Probability);

/// <summary>The values of a variable that are forecast.</summary>
public sealed record VariableForecast(string Variable, IReadOnlyList<double> Values);
