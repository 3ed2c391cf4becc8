using System.Reflection;
using TorchSharp.Modules;

namespace TorchSharp;

public static partial class torch
{
    public static partial class nn
    {
        /// <summary>A part of a model: parameters, buffers and further modules, each under its name.</summary>
        /// <remarks>Not thread-safe.</remarks>
        public abstract class Module : IDisposable
        {
            private readonly string name;
            private readonly List<(string Name, Parameter Value)> ownParameters = [];
            private readonly List<(string Name, Tensor Value, bool Persistent)> ownBuffers = [];
            private readonly List<(string Name, Module Value)> ownModules = [];

            /// <summary>Names the module.</summary>
            protected Module(string name) => this.name = name;

            /// <summary>Whether layers such as dropout behave as in training.</summary>
            public bool training { get; private set; } = true;

            /// <summary>The module's name.</summary>
            public virtual string GetName() => name;

            /// <summary>Switches this module and all within to training, or away from it.</summary>
            public virtual void train(bool on = true)
            {
                training = on;
                foreach (var (_, module) in ownModules) module.train(on);
            }

            /// <summary>Switches this module and all within to evaluation.</summary>
            public virtual void eval() => train(false);

            /// <summary>Adds a parameter under a name.</summary>
            public virtual void register_parameter(string name, Parameter? param)
            {
                Require(name);
                if (param is not null) ownParameters.Add((name, Keep(param)));
            }

            /// <summary>Adds a tensor that is not trained.</summary>
            /// <param name="name">Its name.</param>
            /// <param name="tensor">The tensor; the module owns it from now on.</param>
            /// <param name="persistent">Whether it belongs to <see cref="state_dict"/>.</param>
            public virtual void register_buffer(string name, Tensor tensor, bool persistent = true)
            {
                Require(name);
                ownBuffers.Add((name, Keep(tensor), persistent));
            }

            /// <summary>Adds a module under a name.</summary>
            public virtual void register_module(string name, Module submodule)
            {
                Require(name);
                ownModules.Add((name, submodule));
            }

            /// <summary>Adds every field of the class that is a parameter, a buffer or a module, under the field's name.</summary>
            protected void RegisterComponents()
            {
                const BindingFlags Own = BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly;
                foreach (var field in GetType().GetFields(Own).Where(field => !IsRegistered(field.Name)))
                    switch (field.GetValue(this))
                    {
                        case Module module: register_module(field.Name, module); break;
                        case Parameter parameter: register_parameter(field.Name, parameter); break;
                        case Tensor tensor: register_buffer(field.Name, tensor); break;
                    }
            }

            /// <summary>Calls a function on this module and all within, the innermost first.</summary>
            public virtual Module apply(Action<Module> fn)
            {
                foreach (var (_, module) in ownModules) module.apply(fn);
                fn(this);
                return this;
            }

            /// <summary>Puts a parameter in the place of another of the same name, which is disposed; adds it, or takes it away.</summary>
            internal void ReplaceParameter(string name, Parameter? param)
            {
                var index = ownParameters.FindIndex(entry => entry.Name == name);
                if (param is null)
                {
                    if (index >= 0) ownParameters.RemoveAt(index);
                }
                else if (index >= 0)
                {
                    if (!ReferenceEquals(ownParameters[index].Value, param)) ownParameters[index].Value.Dispose();
                    ownParameters[index] = (name, Keep(param));
                }
                else ownParameters.Add((name, Keep(param)));
            }

            /// <summary>The modules directly within, by name.</summary>
            public virtual IEnumerable<(string name, Module module)> named_children() => ownModules;

            /// <summary>All modules within at any depth, by path.</summary>
            public virtual IEnumerable<(string name, Module module)> named_modules() =>
                ownModules.SelectMany(child => child.Value.named_modules()
                    .Select(inner => ($"{child.Name}.{inner.name}", inner.module)).Prepend((child.Name, child.Value)));

            /// <summary>All modules within at any depth.</summary>
            public virtual IEnumerable<Module> modules() => named_modules().Select(entry => entry.module).Prepend(this);

            /// <summary>The parameters by path; one that is shared appears once, under its first name.</summary>
            public virtual IEnumerable<(string name, Parameter parameter)> named_parameters(bool recurse = true)
            {
                var seen = new HashSet<Parameter>(ReferenceEqualityComparer.Instance);
                return AllParameters(recurse).Where(entry => seen.Add(entry.parameter));
            }

            /// <summary>The parameters.</summary>
            public virtual IEnumerable<Parameter> parameters(bool recurse = true) =>
                named_parameters(recurse).Select(entry => entry.parameter);

            /// <summary>The buffers by path.</summary>
            public virtual IEnumerable<(string name, Tensor buffer)> named_buffers(bool recurse = true) =>
                Buffers(recurse).Select(entry => (entry.Name, entry.Value));

            /// <summary>Everything a checkpoint holds: parameters and persistent buffers, by path.</summary>
            public virtual Dictionary<string, Tensor> state_dict()
            {
                var state = named_parameters().ToDictionary(entry => entry.name, Tensor (entry) => entry.parameter);
                foreach (var (key, value, persistent) in Buffers(recurse: true))
                    if (persistent) state.Add(key, value);
                return state;
            }

            /// <summary>Copies values in by name.</summary>
            /// <param name="source">Tensors by path.</param>
            /// <param name="strict">Whether every name has to be on both sides.</param>
            /// <exception cref="ArgumentException">Names or shapes differ.</exception>
            public virtual (IList<string> missing_keys, IList<string> unexpected_keyes) load_state_dict(IDictionary<string, Tensor> source, bool strict = true)
            {
                var own = state_dict();
                string[] missing = [.. own.Keys.Where(key => !source.ContainsKey(key))];
                string[] unexpected = [.. source.Keys.Where(key => !own.ContainsKey(key))];
                if (strict && missing.Length + unexpected.Length > 0)
                    throw new ArgumentException($"missing: {string.Join(", ", missing)}; unexpected: {string.Join(", ", unexpected)}", nameof(source));

                using var _ = no_grad();
                foreach (var (key, target) in own)
                {
                    if (!source.TryGetValue(key, out var value)) continue;
                    if (!target.shape.SequenceEqual(value.shape))
                        throw new ArgumentException($"{key} is [{string.Join(", ", value.shape)}], the model has [{string.Join(", ", target.shape)}].", nameof(source));
                    target.copy_(value);
                }

                return (missing, unexpected);
            }

            /// <summary>Drops all gradients.</summary>
            public virtual void zero_grad(bool set_to_none = true)
            {
                foreach (var parameter in parameters())
                    if (set_to_none) parameter.grad = null;
                    else using (var gradient = parameter.grad) gradient?.zero_();
            }

            /// <summary>Moves parameters and buffers, and converts those of real numbers, in place: whoever holds them keeps holding them.</summary>
            internal void MoveTo(Device? device, ScalarType? type)
            {
                foreach (var tensor in parameters().Concat(named_buffers().Select(entry => entry.buffer)))
                    tensor.MoveData(device, is_floating_point(tensor.dtype) ? type : null);
            }

            /// <inheritdoc/>
            public void Dispose()
            {
                Dispose(true);
                GC.SuppressFinalize(this);
            }

            /// <summary>Frees parameters, buffers and modules within.</summary>
            protected virtual void Dispose(bool disposing)
            {
                if (!disposing) return;
                foreach (var (_, parameter) in ownParameters) parameter.Dispose();
                foreach (var (_, buffer, _) in ownBuffers) buffer.Dispose();
                foreach (var (_, module) in ownModules) module.Dispose();
            }

            private static T Keep<T>(T tensor) where T : Tensor
            {
                tensor.DetachFromDisposeScope();
                return tensor;
            }

            private IEnumerable<(string name, Parameter parameter)> AllParameters(bool recurse) =>
                recurse
                    ? ownParameters.Concat(ownModules.SelectMany(child =>
                        child.Value.AllParameters(true).Select(inner => ($"{child.Name}.{inner.name}", inner.parameter))))
                    : ownParameters;

            private IEnumerable<(string Name, Tensor Value, bool Persistent)> Buffers(bool recurse) =>
                recurse
                    ? ownBuffers.Concat(ownModules.SelectMany(child =>
                        child.Value.Buffers(true).Select(inner => ($"{child.Name}.{inner.Name}", inner.Value, inner.Persistent))))
                    : ownBuffers;

            private bool IsRegistered(string name) =>
                ownParameters.Any(entry => entry.Name == name) || ownBuffers.Any(entry => entry.Name == name) || ownModules.Any(entry => entry.Name == name);

            private void Require(string name)
            {
                if (name.Length == 0 || name.Contains('.')) throw new ArgumentException($"'{name}' is no name for a component.", nameof(name));
                if (IsRegistered(name)) throw new ArgumentException($"'{name}' is registered already.", nameof(name));
            }
        }

        /// <summary>A module from one input to one result.</summary>
        public abstract class Module<T, TResult>(string name) : Module(name)
        {
            /// <summary>Computes the result; override it, and use <see cref="call"/> to run it.</summary>
            public abstract TResult forward(T input);

            /// <summary>Runs the module.</summary>
            public TResult call(T input) => forward(input);
        }

        /// <summary>A module from two inputs to one result.</summary>
        public abstract class Module<T1, T2, TResult>(string name) : Module(name)
        {
            /// <summary>Computes the result; override it, and use <see cref="call"/> to run it.</summary>
            public abstract TResult forward(T1 input1, T2 input2);

            /// <summary>Runs the module.</summary>
            public TResult call(T1 input1, T2 input2) => forward(input1, input2);
        }

        /// <summary>A module from three inputs to one result.</summary>
        public abstract class Module<T1, T2, T3, TResult>(string name) : Module(name)
        {
            /// <summary>Computes the result; override it, and use <see cref="call"/> to run it.</summary>
            public abstract TResult forward(T1 input1, T2 input2, T3 input3);

            /// <summary>Runs the module.</summary>
            public TResult call(T1 input1, T2 input2, T3 input3) => forward(input1, input2, input3);
        }

        /// <summary>Makes a parameter of a tensor, whose memory it takes over.</summary>
        public static Parameter Parameter(Tensor data, bool requires_grad = true) => new(data, requires_grad);
    }
}

/// <summary>TorchSharp's extension methods on modules.</summary>
public static class ModuleExtensionMethods
{
    /// <summary>Moves a module to a device, in place.</summary>
    public static T to<T>(this T module, torch.Device device) where T : torch.nn.Module => Move(module, device, null);

    /// <summary>Moves a module to a kind of device, in place.</summary>
    public static T to<T>(this T module, DeviceType deviceType, int deviceIndex = -1) where T : torch.nn.Module =>
        Move(module, new torch.Device(deviceType, deviceIndex), null);

    /// <summary>Converts a module's real numbers to an element type, in place.</summary>
    public static T to<T>(this T module, torch.ScalarType type) where T : torch.nn.Module => Move(module, null, type);

    /// <summary>Moves and converts a module, in place.</summary>
    public static T to<T>(this T module, torch.Device device, torch.ScalarType type) where T : torch.nn.Module =>
        Move(module, device, type);

    /// <summary>Moves a module to the CPU, in place.</summary>
    public static T cpu<T>(this T module) where T : torch.nn.Module => Move(module, torch.CPU, null);

    /// <summary>Moves a module to a CUDA device, in place.</summary>
    public static T cuda<T>(this T module, int deviceIndex = -1) where T : torch.nn.Module =>
        Move(module, new torch.Device(DeviceType.CUDA, deviceIndex), null);

    private static T Move<T>(T module, torch.Device? device, torch.ScalarType? type) where T : torch.nn.Module
    {
        module.MoveTo(device, type);
        return module;
    }
}
