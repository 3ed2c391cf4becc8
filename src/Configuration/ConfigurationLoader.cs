using Trainer.Configuration.Binding;
using Trainer.Configuration.Layers;

namespace Trainer.Configuration;

/// <summary>Loads a configuration from its layers, each over the one before: the bases that the file <c>extends</c>, the file, environment
/// variables (<c>TRAINER__training__steps</c>), overrides (<c>training.steps=100</c>).</summary>
/// <remarks>
/// <para>Objects are merged key by key. A list replaces a list as a whole; a single item is set by its index from the environment or an
/// override (<c>data.train.0.path=my.txt</c>), and the index after the last one appends. The text of an override or variable may be a whole
/// JSON list or object; <c>null</c> is null where null is allowed.</para>
/// <para>When a layer changes the variant of a closed hierarchy (its <c>type</c>), what lower layers set for the former variant is dropped
/// where the new one does not know it, and kept where it does. A variant that is not named is that of the default.</para>
/// <para>Names and choices in files must match in case; those in the environment and in overrides need not. A JSON string is taken for a
/// number or a truth value if it reads as one, since configuration keeps text; a number is never taken for text.</para>
/// <para>Rules on a list property that concern single values (a range) hold for each of its items.</para> </remarks>
public static class ConfigurationLoader
{
    /// <summary>Loads a file with its bases, environment variables (those of the process by default) and overrides, of which later ones
    /// win.</summary>
    /// <exception cref="ConfigurationException">Anything is wrong; it holds everything that is.</exception>
    public static LoadedConfiguration<T> Load<T>(
        string path, IReadOnlyList<string> overrides, IReadOnlyDictionary<string, string>? environment = null)
    {
        var problems = new List<Problem>();
        var files = new FileChain(problems);
        files.Read(path);
        var variables = EnvironmentLayer.Read(environment ?? EnvironmentLayer.OfProcess(), problems);
        var commandLine = OverrideLayer.Read(overrides, problems);
        if (!files.IsWhole)
            throw new ConfigurationException(problems, path);
        return Bind<T>(new LayerStack([.. files.Layers, variables, commandLine]), files.Names, problems, path);
    }

    internal static LoadedConfiguration<T> Bind<T>(
        LayerStack stack, IReadOnlyList<string> files, List<Problem> problems, string source)
    {
        var value = new Binder(problems).BindRoot(stack.Root, typeof(T));
        if (problems.Count > 0)
            throw new ConfigurationException(problems, source);
        return new LoadedConfiguration<T>((T)value!, files, path => Explain(stack.Root.Find(path)));
    }

    private static string Explain(Setting setting) => setting.Exists ? setting.Origin : "by default";
}

/// <summary>A configuration and the origin of its settings.</summary>
public sealed class LoadedConfiguration<T>
{
    private readonly Func<string, string> explain;

    internal LoadedConfiguration(T value, IReadOnlyList<string> sourceFiles, Func<string, string> explain)
    {
        Value = value;
        SourceFiles = sourceFiles;
        this.explain = explain;
    }

    /// <summary>The bound, valid record.</summary>
    public T Value { get; }

    /// <summary>The files read, lowest layer first.</summary>
    public IReadOnlyList<string> SourceFiles { get; }

    /// <summary>The origin of a setting such as <c>data.train.0.path</c>: <c>in configs/x.json:7</c>, <c>from environment variable …</c>,
    /// <c>from --set …</c>, or <c>by default</c>.</summary>
    public string Explain(string path) => explain(path);
}

/// <summary>What an object under this property leaves out is taken from the property of the same name of the nearest enclosing record
/// that has one, which must be declared before. A property that is absent altogether stays null.</summary>
/// <remarks>So an item of a list can say only what differs: <c>"layerPattern": [{ "attention": { "kernel": "reference" } }]</c>.</remarks>
[AttributeUsage(AttributeTargets.Property)]
public sealed class InheritsAttribute : Attribute;
