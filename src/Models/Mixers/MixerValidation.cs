using Trainer.Configuration;

namespace Trainer.Models.Mixers;

/// <summary>The rules between mixers and the model.</summary>
internal static class MixerValidation
{
    /// <summary>Problems with paths relative to the model.</summary>
    public static IEnumerable<Problem> Problems(ModelOptions model) =>
    [
        .. OfAllLayers(model),
        .. Against(model, model.Mixer, "mixer"),
        .. (model.LayerPattern ?? []).SelectMany((group, index) => OfGroup(model, group, $"layerPattern.{index}")),
    ];

    private static IEnumerable<Problem> OfAllLayers(ModelOptions model)
    {
        if (!model.Mixer.OnlyLooksBack) yield break;
        if (!model.IsCausal) yield return new("mixer", Encoder(model.Mixer));
        else if (model.HasEncoder)
            yield return new("mixer", $"type '{model.Mixer.Type}' only looks back, and the encoder, which it would be in as well, sees the whole text; give it to layers of the decoder in layerPattern");
    }

    private static IEnumerable<Problem> OfGroup(ModelOptions model, LayerGroupOptions group, string path)
    {
        MixerOptions mixer = group.Mixer ?? model.Mixer;
        if (group.Mixer is not null)
        {
            if (mixer.OnlyLooksBack && !model.IsCausal) yield return new($"{path}.mixer", Encoder(mixer));
            foreach (Problem problem in Against(model, mixer, $"{path}.mixer")) yield return problem;
        }
        if (mixer.Attends) yield break;
        if (group.Attention is not null) yield return new($"{path}.attention", Unused(mixer));
        if (group.Position is not null) yield return new($"{path}.position", Unused(mixer));
    }

    private static IEnumerable<Problem> Against(ModelOptions model, MixerOptions mixer, string path) =>
        mixer.Against(model).Select(problem => problem with { Path = $"{path}.{problem.Path}" });

    private static string Encoder(MixerOptions mixer) =>
        $"type '{mixer.Type}' only looks back, and an encoder sees the whole text; use 'attention', or model.architecture 'decoder'";

    private static string Unused(MixerOptions mixer) => $"means nothing to the mixer of these layers, '{mixer.Type}'; leave it out";
}
